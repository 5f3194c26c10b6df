//! The tools that a model has, and what it means by a call of one.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    limits::{MOST_ARGUMENTS, MOST_COMMAND, MOST_NOTE, MOST_NOTES, MOST_SUMMARY, cut},
    reach::{Reach, Request},
};
use crate::ports::model::{Tool, ToolCall};

/// Makes a request.
pub const HTTP: &str = "http_request";
/// Runs a command in the sandbox.
pub const SHELL: &str = "shell_exec";
/// Says what it was like.
pub const NOTE: &str = "ux_note";
/// Ends the conversation.
pub const FINISH: &str = "finish";

/// What a model says about using the service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What it is about.
    pub kind: Kind,
    /// How much it matters.
    pub severity: Severity,
    /// What there is to say.
    pub text: String,
}

/// What a note is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// What the service says about itself.
    Docs,
    /// An error that does not say what to do.
    Error,
    /// How answers look.
    Response,
    /// What it costs and how that is said.
    Payment,
    /// How long it takes.
    Latency,
    /// Anything else.
    Other,
}

/// How much a note matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// It was in the way.
    Minor,
    /// It kept the task from being done.
    Major,
}

/// What a model asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// A request to a service under test.
    Http(Request),
    /// A command in the sandbox.
    Shell(String),
    /// A note.
    Note(Note),
    /// The end, with what it says about it.
    Finish(String),
}

/// The tools of a group: requests, or commands where it is used in a sandbox.
pub fn tools(shell: bool) -> Vec<Tool> {
    let text = |description: &str| json!({ "type": "string", "description": description });
    let first = if shell {
        Tool {
            name: SHELL,
            description: "Runs a line of a shell. Answers with exit code, standard output and standard error.".into(),
            parameters: json!({ "type": "object", "required": ["command"], "properties": { "command": text("The line.") } }),
        }
    } else {
        Tool {
            name: HTTP,
            description:
                "Makes a request to the service under test, and pays for it where it asks for that. Answers with status, headers and body."
                    .into(),
            parameters: json!({
                "type": "object", "required": ["method", "url"],
                "properties": {
                    "method": { "type": "string", "enum": ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"] },
                    "url": text("The whole URL."),
                    "body": { "type": ["object", "array", "string", "null"], "description": "An object is sent as JSON, a text as it is." },
                    "headers": { "type": "object", "additionalProperties": { "type": "string" } },
                },
            }),
        }
    };
    let mut tools = vec![first];
    tools.push(Tool {
        name: NOTE,
        description: format!("Notes what was good or bad about using the service. {MOST_NOTES} at most, of {MOST_NOTE} characters."),
        parameters: json!({
            "type": "object", "required": ["kind", "severity", "text"],
            "properties": {
                "kind": { "type": "string", "enum": ["docs", "error", "response", "payment", "latency", "other"] },
                "severity": { "type": "string", "enum": ["info", "minor", "major"] },
                "text": text("One or two sentences."),
            },
        }),
    });
    tools.push(Tool {
        name: FINISH,
        description: "Ends the test. Call it once, when everything was tried.".into(),
        parameters: json!({ "type": "object", "required": ["summary"], "properties": { "summary": text("What was done, and what came of it.") } }),
    });
    tools
}

/// What a call means; else what to tell the model.
pub fn read(call: &ToolCall, reach: &Reach, shell: bool) -> Result<Call, String> {
    if call.arguments.len() > MOST_ARGUMENTS {
        return Err(format!("the arguments have more than {MOST_ARGUMENTS} bytes; nothing was done"));
    }
    let arguments = || -> Result<Value, String> {
        let value: Value = serde_json::from_str(&call.arguments).map_err(|_| "the arguments are no JSON; nothing was done".to_owned())?;
        if value.is_object() { Ok(value) } else { Err("the arguments must be an object; nothing was done".into()) }
    };
    match call.name.as_str() {
        HTTP if !shell => Ok(Call::Http(reach.request(&arguments()?)?)),
        SHELL if shell => {
            let arguments = arguments()?;
            let command = arguments["command"].as_str().filter(|command| !command.trim().is_empty()).ok_or("command: must be a text")?;
            if command.len() > MOST_COMMAND || command.contains('\0') {
                return Err(format!("command: must have {MOST_COMMAND} bytes at most, and no NUL"));
            }
            Ok(Call::Shell(command.to_owned()))
        }
        NOTE => {
            let mut note: Note = serde_json::from_value(arguments()?).map_err(|e| format!("{e}; nothing was noted"))?;
            if note.text.trim().is_empty() {
                return Err("text: is empty; nothing was noted".into());
            }
            note.text = cut(note.text.trim(), MOST_NOTE);
            Ok(Call::Note(note))
        }
        // Whoever wants to end may, whatever the arguments are.
        FINISH => {
            let summary = arguments().ok().and_then(|value| value["summary"].as_str().map(|text| cut(text, MOST_SUMMARY)));
            Ok(Call::Finish(summary.unwrap_or_default()))
        }
        _ => {
            let names = tools(shell).iter().map(|tool| tool.name).collect::<Vec<_>>().join(", ");
            Err(format!("there is no such tool; there are {names}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, arguments: impl Into<String>) -> ToolCall {
        ToolCall { id: String::new(), name: name.into(), arguments: arguments.into() }
    }

    fn meant(name: &str, arguments: &str, shell: bool) -> Result<Call, String> {
        read(&call(name, arguments), &Reach::new([&"https://x.prim.sh".parse().unwrap()]), shell)
    }

    #[test]
    fn calls_are_read_as_they_are_meant() {
        let request = Request { method: "GET".into(), target: "/v1".into(), ..Request::default() };
        assert_eq!(meant(HTTP, r#"{"method":"GET","url":"https://x.prim.sh/v1"}"#, false), Ok(Call::Http(request)));
        assert_eq!(meant(SHELL, r#"{"command":"prim --help"}"#, true), Ok(Call::Shell("prim --help".into())));
        let note = Note { kind: Kind::Docs, severity: Severity::Minor, text: "unclear".into() };
        assert_eq!(meant(NOTE, r#"{"kind":"docs","severity":"minor","text":" unclear "}"#, false), Ok(Call::Note(note)));
        for arguments in [r#"{"summary":"done"}"#, "{}", "garbage", ""] {
            assert!(matches!(meant(FINISH, arguments, false), Ok(Call::Finish(_))), "{arguments}");
        }
    }

    #[test]
    fn everything_else_is_told_to_the_model() {
        let huge = format!("{{\"command\":\"{}\"}}", "x".repeat(MOST_ARGUMENTS));
        for (name, arguments, shell, expected) in [
            (SHELL, r#"{"command":"id"}"#, false, "no such tool"),
            ("rm", "{}", true, "no such tool"),
            ("", "", false, "no such tool"),
            (HTTP, r#"{"method":"GET","url":"https://x.prim.sh/"}"#, true, "no such tool"),
            (HTTP, "{", false, "no JSON"),
            (HTTP, "[]", false, "an object"),
            (SHELL, huge.as_str(), true, "more than"),
            (SHELL, r#"{"command":" "}"#, true, "command"),
            (NOTE, r#"{"kind":"rant","severity":"major","text":"x"}"#, false, "nothing was noted"),
            (NOTE, r#"{"kind":"docs","severity":"minor","text":""}"#, false, "nothing was noted"),
        ] {
            let told = meant(name, arguments, shell).unwrap_err();
            assert!(told.contains(expected), "{name} {}: {told}", cut(arguments, 80));
        }
    }

    #[test]
    fn a_sandbox_is_used_by_its_shell_alone() {
        let names = |shell| tools(shell).iter().map(|tool| tool.name).collect::<Vec<_>>();
        assert_eq!(names(false), [HTTP, NOTE, FINISH]);
        assert_eq!(names(true), [SHELL, NOTE, FINISH]);
    }
}
