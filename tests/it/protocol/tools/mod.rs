//! The tools of those who build on the API: linters, code generators and a federation's gateway, over `schema.graphql`
//! and a running server. They are npm packages, pinned in `tests/tools`; what they make goes to a folder of the test's.

mod browser;
mod clients;
mod federation;
mod schema;

use std::{
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// The repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A file or folder of `tests/tools`.
pub fn tools(path: &str) -> PathBuf {
    let tools = repository().join("tests/tools");
    assert!(
        tools.join("node_modules/.package-lock.json").exists(),
        "this test runs tools from npm; install them once: npm ci --prefix tests/tools"
    );
    tools.join(path)
}

/// What a tool said.
pub struct Said {
    pub success: bool,
    pub said: String,
    pub complained: String,
}

impl Said {
    /// What it said, where it succeeded.
    #[track_caller]
    pub fn well(self) -> String {
        assert!(self.success, "{}{}", self.said, self.complained);
        self.said
    }
}

/// Runs a script with Node.js in a folder, and waits for it.
pub async fn node(folder: &Path, script: &Path, arguments: &[&str]) -> Said {
    let mut command = Command::new("node");
    command.arg(script).args(arguments).current_dir(folder).env("NO_COLOR", "1");
    let output = tokio::task::spawn_blocking(move || command.output()).await.unwrap();
    let output = output.unwrap_or_else(|error| panic!("this test needs Node.js 20 or later as `node`: {error}"));
    let Output { status, stdout, stderr } = output;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Said { success: status.success(), said: text(stdout), complained: text(stderr) }
}

/// A folder with the files of one of `tests/tools`, in which a tool may write, and in which scripts find the packages.
pub fn workshop(of: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for file in std::fs::read_dir(tools(of)).unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), folder.path().join(file.file_name())).unwrap();
    }
    std::fs::copy(tools("package.json"), folder.path().join("package.json")).unwrap();
    std::fs::copy(repository().join("schema.graphql"), folder.path().join("schema.graphql")).unwrap();
    std::os::unix::fs::symlink(tools("node_modules"), folder.path().join("node_modules")).unwrap();
    folder
}
