//! PyTorch in a process of its own, so that both sides can take turns.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

/// The other side of the comparison.
pub struct Torch {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    /// Its version, as it says.
    pub version: String,
}

impl Torch {
    /// Starts it; the error says why that could not be done.
    pub fn start(root: &Path, shape: [usize; 3]) -> Result<Torch, String> {
        let python = root.join("target/torch/bin/python");
        if !python.exists() {
            return Err(format!("{} is missing: `make bench-torch` installs it", python.display()));
        }
        let mut child = Command::new(&python)
            .arg(root.join("benches/attention/rival.py"))
            .args(shape.map(|n| n.to_string()))
            // Threads are set within; what the environment says must not differ from run to run.
            .env_remove("OMP_NUM_THREADS")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{}: {error}", python.display()))?;
        let (input, output) = (child.stdin.take(), child.stdout.take());
        let (Some(input), Some(output)) = (input, output) else {
            return Err("its input and output are not connected".into());
        };
        let mut torch = Torch { child, input, output: BufReader::new(output), version: String::new() };
        torch.version = torch.answer()?;
        Ok(torch)
    }

    fn answer(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(format!("it ended: {:?}", self.child.wait())),
            Ok(_) => Ok(line.trim().to_string()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Sends a command and reads the number that it answers.
    pub fn ask(&mut self, command: &str) -> Result<f64, String> {
        writeln!(self.input, "{command}").and_then(|()| self.input.flush()).map_err(|error| error.to_string())?;
        let answer = self.answer()?;
        answer.parse().map_err(|_| format!("it answered {answer:?} to {command:?}"))
    }
}

impl Drop for Torch {
    fn drop(&mut self) {
        // The process ends by itself when its input does; if it should hang, it must not outlive the benchmark.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
