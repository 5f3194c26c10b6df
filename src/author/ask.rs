//! Questions and answers, a line each.

use std::io::{BufRead, Write};

use anyhow::bail;

/// Longest answer that is read.
const LONGEST: u64 = 4096;

/// Somebody who can be asked.
pub struct Asker<'a> {
    input: &'a mut dyn BufRead,
    output: &'a mut dyn Write,
}

impl<'a> Asker<'a> {
    /// Asks on `output`, and reads from `input`.
    pub fn new(input: &'a mut dyn BufRead, output: &'a mut dyn Write) -> Self {
        Self { input, output }
    }

    /// Says something that is no question.
    pub fn say(&mut self, text: &str) -> anyhow::Result<()> {
        writeln!(self.output, "{text}")?;
        Ok(())
    }

    /// One answer; `default` for an empty one, or nothing. Asks again while
    /// `objection` has something to say about it.
    pub fn ask(
        &mut self,
        question: &str,
        default: Option<&str>,
        objection: impl Fn(&str) -> Option<String>,
    ) -> anyhow::Result<Option<String>> {
        loop {
            match default {
                Some(default) => write!(self.output, "{question} [{default}]: ")?,
                None => write!(self.output, "{question}: ")?,
            }
            self.output.flush()?;
            let mut line = String::new();
            if std::io::Read::take(&mut *self.input, LONGEST).read_line(&mut line)? == 0 {
                bail!("the input ended at the question: {question}");
            }
            let answer = Some(line.trim()).filter(|line| !line.is_empty()).or(default);
            let Some(answer) = answer else { return Ok(None) };
            match objection(answer) {
                None => return Ok(Some(answer.to_owned())),
                Some(objection) => self.say(&format!("  {objection}"))?,
            }
        }
    }

    /// Yes or no.
    pub fn yes(&mut self, question: &str, default: bool) -> anyhow::Result<bool> {
        let objection = |answer: &str| (!["y", "yes", "n", "no"].contains(&answer)).then(|| "answer y or n".to_owned());
        let answer = self.ask(question, Some(if default { "y" } else { "n" }), objection)?;
        Ok(answer.is_some_and(|answer| answer.starts_with('y')))
    }
}
