//! A SCRIPTED author: what the scripted model answers to whoever wants a document. It
//! takes the id from the words before it, and there is no language model behind it.
//! Its first answer to an idea has a mistake, as a model's has, and its next has none.

use serde_json::{Value, json};

/// The answer to a request for a document.
pub fn answer(asked: &Value) -> Value {
    let messages = asked["messages"].as_array().cloned().unwrap_or_default();
    let corrected = messages.iter().any(|message| message["role"] == "assistant");
    let text = document(&id(&messages), corrected).to_string();
    let usage = json!({ "prompt_tokens": messages.len() * 100, "completion_tokens": text.len() / 4 });
    json!({ "choices": [{ "message": { "role": "assistant", "content": text } }], "usage": usage })
}

/// The id that the idea wants: what stands in backquotes after `called`.
fn id(messages: &[Value]) -> String {
    let said = messages.iter().filter(|message| message["role"] == "user").filter_map(|message| message["content"].as_str());
    let named = said.filter_map(|text| text.split_once("called `")?.1.split('`').next().map(str::to_owned)).next();
    named.unwrap_or_else(|| "jots".into())
}

fn document(id: &str, corrected: bool) -> Value {
    json!({
        "id": id, "name": format!("{id}.sh"), "endpoint": format!("{id}.prim.sh"), "type": "storage",
        "description": "Keeps short texts.", "factory": { "free_service": true }, "env": [format!("{}_DB_PATH", id.to_uppercase())],
        "routes_map": [
            { "route": "POST /v1/jots", "operation_id": if corrected { "create_jot" } else { "create a jot" }, "description": "Keep a text.",
              "request": "NewJot", "response": "Jot", "status": 201 },
            { "route": "GET /v1/jots", "operation_id": "list_jots", "description": "List texts.", "response": "json", "status": 200 }
        ],
        "types": {
            "NewJot": { "type": "object", "required": ["text"], "properties": { "text": { "type": "string", "minLength": 1, "maxLength": 2000 } } },
            "Jot": { "type": "object", "required": ["id", "text"], "properties": { "id": { "type": "string" }, "text": { "type": "string" } } }
        }
    })
}
