//! Fills in the templates of a rule's labels and annotations for one element.

use std::collections::BTreeMap;

use model::Labels;

use crate::evaluate::Surroundings;
use crate::source::{DataSource, QueryResult, VectorElement};
use crate::template::{Context, Sample, Template, TemplateError, Value};

/// What templates are expanded with, besides the element.
pub(crate) struct Expander<'a> {
    /// Answers `query`.
    pub(crate) data: &'a dyn DataSource,
    /// External URL and labels.
    pub(crate) surroundings: &'a Surroundings,
    /// When `query` looks, Unix ms.
    pub(crate) at: i64,
    /// What `now` yields, Unix ms.
    pub(crate) now: i64,
}

/// Queries that one template may make.
const MAX_QUERIES: usize = 20;

impl Expander<'_> {
    async fn expand(
        &self,
        template: &Template,
        element: &VectorElement,
    ) -> Result<String, TemplateError> {
        let labels = Value::from(&element.labels);
        let external_labels = Value::from(&self.surroundings.external_labels);
        let external_url = Value::from(self.surroundings.external_url.as_str());
        let value = Value::Float(element.value);
        let data = Value::Map(BTreeMap::from([
            ("Labels".to_owned(), labels.clone()),
            ("ExternalLabels".to_owned(), external_labels.clone()),
            ("ExternalURL".to_owned(), external_url.clone()),
            ("Value".to_owned(), value.clone()),
        ]));
        let variables = [
            ("labels", labels),
            ("externalLabels", external_labels),
            ("externalURL", external_url),
            ("value", value),
        ];
        let mut answers = BTreeMap::new();
        loop {
            let context = Context {
                now: self.now,
                external_url: &self.surroundings.external_url,
                html: false,
                missing_key_is_error: false,
                answers: &answers,
            };
            match template.execute(&data, &variables, &context) {
                Err(TemplateError::NeedsAnswer(query)) if answers.len() < MAX_QUERIES => {
                    let answer = self.query(&query).await;
                    answers.insert(query, answer);
                }
                other => return other,
            }
        }
    }

    async fn query(&self, query: &str) -> Result<Vec<Sample>, String> {
        match self.data.query(query, self.at).await {
            Ok(QueryResult::Scalar(value)) => Ok(vec![Sample {
                labels: Labels::empty(),
                value,
            }]),
            Ok(QueryResult::Vector(elements)) => Ok(elements
                .into_iter()
                .map(|VectorElement { labels, value }| Sample { labels, value })
                .collect()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// The rule's labels for `element`. One that fails is left out: an error's text must not become
/// part of an alert's identity.
pub(crate) async fn expand_labels(
    templates: &[(String, Template)],
    element: &VectorElement,
    expander: &Expander<'_>,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::new();
    for (name, template) in templates {
        match expander.expand(template, element).await {
            Ok(text) => {
                labels.insert(name.clone(), text);
            }
            Err(error) => {
                tracing::warn!(label = %name, %error, "label template failed, label left out");
            }
        }
    }
    labels
}

/// The annotations for `element`; one that fails shows its error.
pub(crate) async fn expand_annotations(
    templates: &[(String, Template)],
    element: &VectorElement,
    expander: &Expander<'_>,
) -> Labels {
    let mut annotations = Vec::with_capacity(templates.len());
    for (name, template) in templates {
        let text = match expander.expand(template, element).await {
            Ok(text) => text,
            Err(error) => format!("<error expanding template: {error}>"),
        };
        annotations.push((name.as_str(), text));
    }
    Labels::new(annotations)
}
