//! Claims about the desk.
