//! A node: the program itself, as a process of its own that a test can kill.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

/// How long a node may take to answer.
const START: Duration = Duration::from_secs(60);

/// A running node. It is killed when the test ends.
pub struct Process {
    /// The process.
    pub child: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Process {
    /// Starts `rapport serve` with these settings and arguments on a free port, and waits until it serves.
    pub async fn start(program: &str, variables: &[(&str, String)], arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .arg("serve")
            .args(arguments)
            .env_clear()
            .env("RAPPORT_SERVER__PORT", "0")
            .env("RAPPORT_LOGGING__FORMAT", "json")
            .envs(variables.iter().map(|(name, value)| (*name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let kept = log.clone();
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                kept.lock().unwrap().push(line);
            }
        });
        let begin = Instant::now();
        let address = loop {
            let serving = log.lock().unwrap().iter().find_map(|line| serving(line));
            if let Some(address) = serving {
                break address;
            }
            let ended = child.try_wait().unwrap();
            let said = log.lock().unwrap().join("\n");
            assert!(ended.is_none() && begin.elapsed() < START, "the node does not serve: {ended:?}\n{said}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        Self { child, address, log }
    }

    /// The address of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it has logged, one object a line.
    pub fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Ends it at once, as `kill -9` does.
    pub fn kill(&mut self) {
        // One that has ended already is what is wanted.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The address in the line that tells of it.
fn serving(line: &str) -> Option<SocketAddr> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    if line["message"] != "serving" {
        return None;
    }
    line["address"].as_str()?.parse().ok()
}
