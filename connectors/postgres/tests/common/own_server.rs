//! A PostgreSQL of its own, which can be stopped without disturbing other tests.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A server on a free port of the loopback, from the packages of this machine; stopped when it is dropped.
pub(crate) struct OwnServer {
    programs: PathBuf,
    directory: TempDir,
    port: u16,
}

impl OwnServer {
    pub(crate) fn start() -> OwnServer {
        let directory = tempfile::tempdir().unwrap();
        // It refuses to run as root; where tests do, it runs as the user that the package makes.
        if is_root() {
            run(Command::new("chown").arg("postgres").arg(directory.path()));
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = OwnServer { programs: programs(), directory, port };
        let initdb = ["--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--username=postgres", "--no-sync"];
        run(server.command("initdb").args(initdb).arg("--pgdata").arg(server.data()));
        server.up();
        server
    }

    pub(crate) fn url(&self) -> String {
        format!("postgresql://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub(crate) fn up(&self) {
        let options = format!("-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories=", self.port);
        let log = self.directory.path().join("log");
        run(self.pg_ctl("start").arg("--options").arg(options).arg("--log").arg(log));
    }

    /// Ends all connections at once.
    pub(crate) fn down(&self) {
        run(self.pg_ctl("stop").arg("--mode=fast"));
    }

    fn pg_ctl(&self, action: &str) -> Command {
        let mut command = self.command("pg_ctl");
        command.args([action, "--wait", "--silent", "--pgdata"]).arg(self.data());
        command
    }

    fn command(&self, program: &str) -> Command {
        let path = self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(path);
            command
        } else {
            Command::new(path)
        };
        command.current_dir(self.directory.path());
        command
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }
}

impl Drop for OwnServer {
    fn drop(&mut self) {
        // It may be down already.
        let _ = self.pg_ctl("stop").arg("--mode=immediate").status();
    }
}

fn programs() -> PathBuf {
    let versions = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    found.retain(|programs| programs.join("initdb").exists());
    found.sort();
    found.pop().expect("this test starts a PostgreSQL of its own: install the package postgresql")
}

fn is_root() -> bool {
    let owner = Command::new("id").arg("-u").output().unwrap();
    owner.stdout.trim_ascii() == b"0"
}

fn run(command: &mut Command) {
    // Nowhere, for a server that inherited a pipe would hold it open.
    let status = command.stdout(Stdio::null()).status().unwrap();
    assert!(status.success(), "{command:?}: {status}");
}
