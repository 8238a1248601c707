//! Writes `docs/schemas/*.json`: `cargo run -p attend-artifact --example schemas`.

use attend_program::{At, Result, program, whole};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    program(|| {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/schemas");
        std::fs::create_dir_all(&folder).at(&folder)?;
        let schemas = attend_artifact::schemas::all().into_iter();
        schemas
            .map(|(name, schema)| whole::write_bytes(&folder.join(name), format!("{schema:#}\n")))
            .collect::<Result<()>>()
    })
}
