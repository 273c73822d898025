use tidings_engine::SubscribeOptions;
use tidings_hub::{ControlStyle, EventForm};

/// The native way to speak, with nothing before the first event.
pub(crate) fn subscribe_options() -> SubscribeOptions {
    SubscribeOptions {
        control_style: ControlStyle::Native,
        event_form: EventForm::AsPublished,
        preface: Vec::new(),
        expires: None,
        audience: None,
        hook: None,
    }
}
