//! The API's services as the generators see them: each method with its HTTP rule and its policy. A
//! method that lacks either, or whose rule the doors cannot serve, ends the build here.

use crate::model::{API, FieldKind, Schema, comment, extension, text};
use prost_reflect::{DynamicMessage, MethodDescriptor, ServiceDescriptor, Value};
use std::error::Error;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// The largest request of a method that says nothing else, in bytes.
const REQUEST_BYTES_MAX: u32 = 64 * 1024;

/// A service.
pub struct Service {
    pub name: String,
    pub comment: String,
    /// In the order of their text.
    pub methods: Vec<Method>,
}

/// A method of a service.
pub struct Method {
    pub name: String,
    pub comment: String,
    /// The messages' short names.
    pub request: String,
    pub response: String,
    /// Whether it answers more than once.
    pub streams: bool,
    pub http: Http,
    pub policy: Policy,
}

/// A method's HTTP rule.
pub struct Http {
    pub verb: Verb,
    /// As in the schema and as axum has it: `/api/hosts/{host_id}`.
    pub path: String,
    /// Whether the body is the request, but for what stands in the path.
    pub body: bool,
    /// The field that is answered; the whole message where there is none.
    pub response_body: Option<String>,
}

/// What HTTP calls a method. There is no `PUT`: changes say what is to change.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    Get,
    Post,
    Delete,
    Patch,
}

/// Who may call a method, and what REST makes of it.
pub struct Policy {
    /// The least role, as the schema's enum has it; `None` for anyone.
    pub role: Option<i32>,
    pub creates: bool,
    /// Whether what it answers of has only begun.
    pub begins: bool,
    /// Whether the operator's command has a command for it.
    pub command: bool,
    /// The largest request, in bytes.
    pub max_request_bytes: u32,
    /// The field that REST hands on as it is, and its media type.
    pub raw: Option<(String, String)>,
}

impl Verb {
    /// As in HTTP.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Delete => "DELETE",
            Self::Patch => "PATCH",
        }
    }

    const ALL: [(&'static str, Self); 4] = [
        ("get", Self::Get),
        ("post", Self::Post),
        ("delete", Self::Delete),
        ("patch", Self::Patch),
    ];
}

impl Http {
    /// The fields that stand in the path.
    pub fn path_fields(&self) -> impl Iterator<Item = &str> {
        self.path
            .split('/')
            .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
    }
}

impl Service {
    /// The methods that the operator's command has.
    pub fn commands(&self) -> impl Iterator<Item = &Method> {
        self.methods.iter().filter(|method| method.policy.command)
    }

    pub fn read(descriptor: &ServiceDescriptor) -> Result<Self> {
        let file = descriptor.parent_file();
        Ok(Self {
            name: descriptor.name().to_owned(),
            comment: comment(file.file_descriptor_proto(), descriptor.path()),
            methods: descriptor
                .methods()
                .map(|method| Method::read(&method))
                .collect::<Result<_>>()?,
        })
    }
}

impl Method {
    fn read(descriptor: &MethodDescriptor) -> Result<Self> {
        let fault = |what: &str| format!("{} {what}", descriptor.full_name());
        let options = descriptor.options();
        let pool = descriptor.parent_pool();
        let own = |name: &str| match extension(&options, pool, name) {
            Some(Value::Message(message)) => Some(message),
            _ => None,
        };
        let http = own("google.api.http").ok_or_else(|| fault("has no google.api.http"))?;
        let policy = own(&format!("{API}.policy")).ok_or_else(|| fault("has no policy"))?;
        if descriptor.is_client_streaming() {
            return Err(fault("streams its requests, which REST has no form for").into());
        }
        let file = descriptor.parent_service().parent_file();
        let method = Self {
            name: descriptor.name().to_owned(),
            comment: comment(file.file_descriptor_proto(), descriptor.path()),
            request: descriptor.input().name().to_owned(),
            response: descriptor.output().name().to_owned(),
            streams: descriptor.is_server_streaming(),
            http: Http::read(&http).map_err(|what| fault(&what))?,
            policy: Policy::read(&policy).map_err(|what| fault(&what))?,
        };
        if method.comment.is_empty() {
            return Err(fault("has no comment").into());
        }
        if method.policy.raw.is_some() && !method.streams {
            return Err(fault("has a raw_field and does not stream").into());
        }
        Ok(method)
    }

    /// What only the messages say: each name in the rule is a field's, and what stands in a path or a
    /// query has a form there.
    pub fn check(&self, schema: &Schema) -> Result<()> {
        let fault = |what: String| Err(format!("{} {what}", self.name).into());
        let request = schema.message(&self.request);
        for name in self.http.path_fields() {
            match request.fields.iter().find(|field| field.name == name) {
                Some(field) if field.kind == FieldKind::String && field.rules.required => {}
                _ => return fault(format!("has {name} in its path, which is no required text")),
            }
        }
        if !self.http.body {
            for field in &request.fields {
                if matches!(
                    field.kind,
                    FieldKind::Message(_) | FieldKind::Texts | FieldKind::Bytes
                ) || field.oneof.is_some()
                {
                    return fault(format!("has {}, which has no form in a query", field.name));
                }
            }
        }
        let response = schema.message(&self.response);
        let named = self.http.response_body.iter();
        for name in named.chain(self.policy.raw.iter().map(|(name, _)| name)) {
            if !response.fields.iter().any(|field| field.name == *name) {
                return fault(format!("answers {name}, which is no field"));
            }
        }
        Ok(())
    }
}

impl Http {
    fn read(rule: &DynamicMessage) -> std::result::Result<Self, String> {
        let mut rules = Verb::ALL
            .into_iter()
            .map(|(name, verb)| (verb, text(rule, name)))
            .filter(|(_, path)| !path.is_empty());
        let (verb, path) = rules.next().ok_or("has an HTTP rule of no known verb")?;
        let body = text(rule, "body");
        let takes_body = matches!(verb, Verb::Post | Verb::Patch);
        if !(body.is_empty() || body == "*" && takes_body) {
            return Err("has another body than \"*\"".into());
        }
        if path.contains(['*', '=', ':']) {
            return Err(format!("has the path {path}, which the doors cannot serve"));
        }
        let more = rule.get_field_by_name("additional_bindings");
        if more.is_some_and(|more| more.as_list().is_some_and(|list| !list.is_empty())) {
            return Err("has additional_bindings, which nothing serves".into());
        }
        let response_body = text(rule, "response_body");
        Ok(Self {
            verb,
            path,
            body: body == "*",
            response_body: (!response_body.is_empty()).then_some(response_body),
        })
    }
}

impl Policy {
    /// Whether a key makes it safe to try again. A caller without a credential has no keys.
    pub const fn takes_key(&self) -> bool {
        self.creates && self.role.is_some()
    }

    fn read(policy: &DynamicMessage) -> std::result::Result<Self, String> {
        let flag = |name| {
            let value = policy.get_field_by_name(name);
            matches!(value.as_deref(), Some(Value::Bool(true)))
        };
        let role = match policy.get_field_by_name("role").as_deref() {
            Some(Value::EnumNumber(role)) if *role > 0 => Some(*role),
            _ => None,
        };
        if role.is_some() == flag("anyone") {
            return Err("has a policy that names neither a role nor anyone, or both".into());
        }
        let raw = text(policy, "raw_field");
        Ok(Self {
            role,
            creates: flag("creates"),
            begins: flag("begins"),
            command: text(policy, "no_command").is_empty(),
            max_request_bytes: match policy.get_field_by_name("max_request_bytes").as_deref() {
                Some(Value::U32(bytes)) if *bytes > 0 => *bytes,
                _ => REQUEST_BYTES_MAX,
            },
            raw: (!raw.is_empty()).then(|| (raw, text(policy, "raw_media_type"))),
        })
    }
}
