//! How the engine runs.

/// Settings of the engine.
#[derive(Clone, Copy, Debug)]
pub struct EngineOptions {
    /// Worker threads of each process.
    pub workers: usize,
    /// Users that a worker looks at for a scan before events get their turn.
    pub scan_slice_users: u32,
    /// Ticks of each worker that wait for the sink; then the workers do.
    pub ticks_outward: usize,
}

impl Default for EngineOptions {
    fn default() -> Self {
        EngineOptions { workers: 2, scan_slice_users: 16_384, ticks_outward: 16 }
    }
}
