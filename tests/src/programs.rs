//! Where the programs under test are.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The folder that holds `platen-agent` and `platen-cloud`.
#[derive(Clone, Debug)]
pub struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Programs in a folder.
    ///
    /// # Errors
    ///
    /// When one of them is not there, with the command that builds it.
    pub fn in_folder(folder: &Path) -> Result<Self, String> {
        let folder = std::path::absolute(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
        for name in ["platen-agent", "platen-cloud"] {
            if !folder.join(name).is_file() {
                return Err(format!(
                    "{} has no {name}; build it with: cargo build --workspace --bins",
                    folder.display()
                ));
            }
        }
        Ok(Self { folder })
    }

    /// The programs built beside the running test.
    pub fn of_this_build() -> Self {
        let test = std::env::current_exe().expect("a test has a path");
        // target/<profile>/deps/<test>
        let folder = test.ancestors().nth(2).expect("tests are two levels below the profile's folder");
        Self::in_folder(folder).unwrap_or_else(|error| panic!("{error}"))
    }

    /// The build's own folder, which holds the profiles' folders and what was installed for the tests.
    pub fn target(&self) -> &Path {
        self.folder.parent().unwrap_or(&self.folder)
    }

    /// The agent, to be given arguments.
    pub fn agent(&self) -> Command {
        Command::new(self.folder.join("platen-agent"))
    }

    /// The cloud, to be given arguments.
    pub fn cloud(&self) -> Command {
        Command::new(self.folder.join("platen-cloud"))
    }
}
