//! Writes the seeds of every fuzz target: `seeds FOLDER` fills `FOLDER/TARGET/`.

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs, io};

use properties::{PROPERTIES, seeds};

fn main() -> ExitCode {
    let Some(folder) = env::args_os().nth(1).map(PathBuf::from) else {
        eprintln!("usage: seeds FOLDER");
        return ExitCode::from(2);
    };
    match write(&folder) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {}: {error}", folder.display());
            ExitCode::FAILURE
        }
    }
}

fn write(folder: &std::path::Path) -> io::Result<()> {
    for property in PROPERTIES {
        let folder = folder.join(property.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in seeds::of(property.name).iter().enumerate() {
            fs::write(folder.join(format!("seed-{number:03}")), seed)?;
        }
    }
    Ok(())
}
