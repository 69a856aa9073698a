//! Performs what a request to the control server wants.

use proto::grip::parse_publish_body;

use super::answer::{Answer, ContentType};
use super::plan::{Language, Plan, Task};
use super::refusal::Refusal;
use super::state::Control;
use crate::admin::health;

impl Control {
    /// Performs the request and appends its answer to `out`.
    pub(super) async fn answer(&self, plan: &Plan, content: &[u8], out: &mut Vec<u8>) {
        let manner = plan.manner;
        match self.perform(&plan.task, content).await {
            Ok(Done::Said(answer)) => answer.write(manner, out),
            Ok(Done::Metrics) => {
                let text = self.metrics();
                let answer = Answer::text(200, &text);
                Answer {
                    content_type: ContentType::Metrics,
                    ..answer
                }
                .write(manner, out);
            }
            Err(refusal) => refusal.answer_into(manner, out),
        }
    }

    async fn perform(&self, task: &Task, content: &[u8]) -> Result<Done, Refusal> {
        let said = match task {
            Task::Greet => Answer::text(200, "Pincushion API\n"),
            Task::Publish(language) => {
                self.publish(parse_publish_body(content)?).await?;
                in_language(*language, "Published\n", "{\"message\":\"Published\"}\n")
            }
            Task::Recover(language) => {
                self.recover().await?;
                in_language(*language, "Updated\n", "{\"message\":\"Updated\"}\n")
            }
            Task::Metrics => return Ok(Done::Metrics),
            Task::Health => Answer::text(200, health::ALIVE),
            Task::Readiness => {
                let (status, text) = self.phase().answer();
                Answer::text(status, text)
            }
            Task::Refuse(refusal) => return Err(refusal.clone()),
        };
        Ok(Done::Said(said))
    }
}

/// What came of a request.
enum Done {
    /// A fixed text.
    Said(Answer<'static>),
    /// The metrics are to be shown.
    Metrics,
}

const fn in_language(
    language: Language,
    text: &'static str,
    json: &'static str,
) -> Answer<'static> {
    match language {
        Language::Text => Answer::text(200, text),
        Language::Json => Answer::json(json),
    }
}
