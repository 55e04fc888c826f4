//! What every source must pass, through both APIs.

mod v1 {
    use crate::fixture::Whatpulse;
    use source_whatpulse::ApiKind;

    source::suite!(Whatpulse::start(ApiKind::V1).await);
}

mod legacy {
    use crate::fixture::Whatpulse;
    use source_whatpulse::ApiKind;

    source::suite!(Whatpulse::start(ApiKind::Legacy).await);
}
