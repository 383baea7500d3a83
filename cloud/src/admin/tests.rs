//! Claims about the commands of an administrator.

use super::*;

/// A configuration whose folders are below `folder`.
fn config(folder: &Path) -> Config {
    Config {
        database: format!("sqlite:{}", folder.join("cloud.db").display()),
        blobs: format!("file:{}", folder.join("blobs").display()),
        scratch: folder.join("scratch"),
        keys: folder.join("keys"),
        mail: folder.join("mail"),
        ..Config::default()
    }
}

#[tokio::test]
async fn a_mistyped_tenant_is_refused_and_does_not_become_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let config = config(folder.path());
    let password = folder.path().join("password");
    std::fs::write(&password, "correct horse").expect("written");
    let try_all = async |name: &str| {
        let tenant: TenantId = name.parse().expect("a name");
        [
            device_code(&config, &tenant, 5).await,
            add_client(&config, &tenant, "erp", "documents:read", None).await,
            add_user(&config, &tenant, "ada", Role::Viewer, Some(&password)).await,
        ]
    };
    for answer in try_all("acme").await {
        let error = answer.expect_err("nobody added it");
        assert!(error.contains("there is no tenant acme"), "{error}");
    }
    assert_eq!(list_tenants(&config).await, Ok(String::new()), "none was made");
    for answer in try_all(DEFAULT_TENANT).await {
        answer.expect("everybody starts with it");
    }
    add_tenant(&config, &"acme".parse().expect("a name")).await.expect("added");
    let code = device_code(&config, &"acme".parse().expect("a name"), 5).await;
    code.expect("it is there now");
}
