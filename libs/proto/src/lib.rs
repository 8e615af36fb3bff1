//! Generated gRPC types and their descriptor set; nothing by hand. Services import this crate as `proto`, so that the foreigner
//! shows in every line.
//!
//! - [`registry`], [`evaluator`], [`dispatcher`]: messages, clients and servers of the three services;
//! - [`event`], [`errors`]: what they share;
//! - [`DESCRIPTORS`]: the contracts themselves, for reflection and for tests that walk all RPCs.

/// The encoded `google.protobuf.FileDescriptorSet` of all contracts, comments included.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));

macro_rules! package {
    ($name:ident, $package:literal, $doc:literal) => {
        #[doc = $doc]
        pub mod $name {
            /// Version 1.
            #[allow(clippy::all, clippy::pedantic, rustdoc::all, unused_qualifications, missing_docs)]
            pub mod v1 {
                tonic::include_proto!($package);
            }
        }
    };
}

package!(errors, "sluice.errors.v1", "Reasons of refusals.");
package!(event, "sluice.event.v1", "Events of the host and subscriptions to them.");
package!(registry, "sluice.registry.v1", "Accounts, webhooks and the internal feed.");
package!(evaluator, "sluice.evaluator.v1", "Automations and the ingest of events.");
package!(dispatcher, "sluice.dispatcher.v1", "Executions and the internal enqueue.");
