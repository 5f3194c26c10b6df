//! `flywheel validate`: files against the strict form of a document.

use std::{
    fmt,
    io::Write,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::ValueEnum;
use serde_json::{Value, json};

use crate::prim::{self, Assumption, Checked, Finding};

/// What `flywheel validate` is told.
#[derive(Debug, clap::Args)]
pub struct ValidateConfig {
    /// Documents: prim.yaml files, or Primitive objects that hold one; `-` is standard input.
    #[arg(required = true)]
    files: Vec<PathBuf>,
    /// How to say it.
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// Says too what is taken for granted where a document leaves something open.
    #[arg(long)]
    notes: bool,
}

/// How findings are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Format {
    /// A line for each.
    Text,
    /// One JSON document for all files.
    Json,
}

/// What there is to say of one file.
#[derive(Debug)]
pub struct Report {
    /// Its name, as it was given.
    pub file: String,
    /// Why it could not be opened.
    pub unread: Option<String>,
    /// Its document's id, where it can be read at all.
    pub id: Option<String>,
    /// The hash of its normal form, where it can be read.
    pub hash: Option<String>,
    /// In what it is not strict.
    pub findings: Vec<Finding>,
    /// What reading it takes for granted, where it can be read.
    pub assumptions: Vec<Assumption>,
}

/// Checks a text.
pub fn judge(file: &str, text: &str) -> Report {
    let Checked { document, findings } = prim::check_text(text);
    let read = document.ok();
    Report {
        file: file.into(),
        unread: None,
        id: read.as_ref().map(|document| document.id.to_string()),
        hash: read.as_ref().map(prim::Document::hash),
        findings,
        assumptions: read.map(|document| document.assumptions).unwrap_or_default(),
    }
}

impl Report {
    fn of(file: &Path) -> Self {
        let name = file.display().to_string();
        let unread = |why: String| Self {
            file: name.clone(),
            unread: Some(why),
            id: None,
            hash: None,
            findings: Vec::new(),
            assumptions: Vec::new(),
        };
        match super::read(file).map(String::from_utf8) {
            Ok(Ok(text)) => judge(&name, &text),
            Ok(Err(error)) => unread(format!("is no UTF-8 text: {}", error.utf8_error())),
            Err(error) => unread(format!("can't be read: {error}")),
        }
    }

    /// Whether it has no problem.
    pub fn is_strict(&self) -> bool {
        self.unread.is_none() && self.findings.is_empty()
    }

    fn json(&self) -> Value {
        let finding = |finding: &Finding| {
            json!({
                "code": finding.code.as_str(),
                "path": finding.path,
                "line": finding.position.map(|at| at.line),
                "column": finding.position.map(|at| at.column),
                "text": finding.text,
                "remedy": finding.remedy,
            })
        };
        json!({
            "file": self.file,
            "valid": self.is_strict(),
            "error": self.unread,
            "readable": self.hash.is_some(),
            "id": self.id,
            "hash": self.hash,
            "problems": self.findings.iter().map(finding).collect::<Vec<_>>(),
            "assumptions": self.assumptions,
        })
    }
}

impl fmt::Display for Report {
    /// A line for each problem, as compilers write them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(why) = &self.unread {
            writeln!(f, "{}: {why}", self.file)?;
        }
        for finding in &self.findings {
            match finding.position {
                Some(at) => writeln!(f, "{}:{}:{}: {finding}", self.file, at.line, at.column)?,
                None => writeln!(f, "{}: {finding}", self.file)?,
            }
        }
        Ok(())
    }
}

pub(super) fn run(config: &ValidateConfig, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let reports: Vec<_> = config.files.iter().map(|file| Report::of(file)).collect();
    match config.format {
        Format::Json => writeln!(out, "{:#}", json!({"documents": reports.iter().map(Report::json).collect::<Vec<_>>()}))?,
        Format::Text => {
            for report in &reports {
                write!(out, "{report}")?;
                if config.notes {
                    for assumption in &report.assumptions {
                        writeln!(out, "{}: note: {assumption}", report.file)?;
                    }
                }
                if report.unread.is_none() {
                    eprintln!("{}: {}", report.file, verdict(report));
                }
            }
        }
    }
    Ok(if reports.iter().all(Report::is_strict) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn verdict(report: &Report) -> String {
    match (report.findings.len(), report.hash.is_some()) {
        (0, _) => "no problem".into(),
        (1, true) => "1 problem, though it can be read".into(),
        (n, true) => format!("{n} problems, though it can be read"),
        (1, false) => "1 problem, and it can't be read".into(),
        (n, false) => format!("{n} problems, and it can't be read"),
    }
}
