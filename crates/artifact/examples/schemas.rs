//! Writes `docs/schemas/*.json`: `cargo run -p attend-artifact --example schemas`.

use attend_program::{At, program, whole};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    program(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
        std::fs::create_dir_all(&folder).at(&folder)?;
        for (name, schema) in attend_artifact::schemas::all() {
            whole::write_bytes(&folder.join(name), format!("{schema:#}\n"))?;
        }
        Ok(())
    })
}
