//! A second host on this machine: a network namespace with a wire that can be cut. Needs to be root.

use std::path::Path;
use std::process::Command;

/// A namespace, and the wire to it.
#[derive(Debug)]
pub struct NetworkNamespace {
    name: String,
    wire: String,
    /// The address of this side.
    pub here: String,
    /// The address of the other side.
    pub there: String,
}

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output().map_err(|error| error.to_string())?;
    if output.status.success() {
        return Ok(());
    }
    Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr)))
}

impl NetworkNamespace {
    /// Creates it; an error says what the machine does not permit.
    pub fn create() -> Result<NetworkNamespace, String> {
        let id = std::process::id();
        // A name of an interface has 15 characters at most, and a subnet is for this process alone.
        let (name, wire) = (format!("audience-{id}"), format!("aud{id}"));
        let subnet = format!("10.{}.{}", 200 + id % 50, id / 50 % 250);
        let network = NetworkNamespace { here: format!("{subnet}.1"), there: format!("{subnet}.2"), name, wire };
        let NetworkNamespace { name, wire, here, there } = &network;
        ip(&format!("netns add {name}"))?;
        ip(&format!("link add {wire} type veth peer name eth0 netns {name}"))?;
        ip(&format!("addr add {here}/30 dev {wire}"))?;
        ip(&format!("link set {wire} up"))?;
        ip(&format!("-n {name} addr add {there}/30 dev eth0"))?;
        ip(&format!("-n {name} link set eth0 up"))?;
        ip(&format!("-n {name} link set lo up"))?;
        Ok(network)
    }

    /// The command that runs a program on the other side.
    pub fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Cuts the wire: what is sent is lost, and nobody is told.
    pub fn cut(&self) -> Result<(), String> {
        ip(&format!("-n {} link set eth0 down", self.name))
    }

    /// Mends the wire.
    pub fn mend(&self) -> Result<(), String> {
        ip(&format!("-n {} link set eth0 up", self.name))
    }
}

impl Drop for NetworkNamespace {
    fn drop(&mut self) {
        let _ = ip(&format!("link del {}", self.wire));
        let _ = ip(&format!("netns del {}", self.name));
    }
}
