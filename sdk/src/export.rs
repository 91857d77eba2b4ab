//! The macro that makes a plug-in of a type: its descriptor and its one exported symbol.
//! Holds no logic: what it writes calls `descriptor` and `enter`.

/// Exports a type as the plug-in of this shared object. Once per `cdylib`.
///
/// - `type`: what implements [`Plugin`](crate::Plugin).
/// - `name`: 1 to 63 octets of a-z, 0-9, '-' and '_'.
/// - `version`: 1 to 31 printable ASCII octets, for example `env!("CARGO_PKG_VERSION")`.
/// - `class`: `blocking`, or `inline` when no handler ever blocks; see [`class`](crate::class).
/// - `stages`: the handlers to be called, by name; see [`stage`](crate::stage).
/// - `edits`: what the handlers change; see [`edit`](crate::edit). The host refuses everything else.
#[macro_export]
macro_rules! export_plugin {
    (
        type = $plugin:ty,
        name = $name:expr,
        version = $version:expr,
        class = $class:ident,
        stages = [$($stage:ident),* $(,)?],
        edits = [$($edit:ident),* $(,)?] $(,)?
    ) => {
        /// The entry point: the one symbol that this plug-in exports.
        ///
        /// # Safety
        ///
        /// Called by the host, once, with its base table and this plug-in's handle.
        // SAFETY: no other symbol of the name: the contract gives it to the plug-in, and a shared object is one
        // plug-in.
        #[unsafe(no_mangle)]
        pub unsafe extern "C" fn em_entry(
            base: *const $crate::abi::EmBase,
            host: *mut $crate::abi::EmHost,
        ) -> $crate::abi::STATUS {
            const STAGES: $crate::Stages = $crate::Stages::all(&[$($crate::stage::$stage),*]);
            static EXPORTED: $crate::Exported = $crate::Exported { name: $name, stages: STAGES };

            // SAFETY: the section is the contract's for exactly this struct.
            #[used]
            #[unsafe(link_section = ".stagepost")]
            static DESCRIPTOR: $crate::abi::EmDescriptor = $crate::descriptor(
                $name,
                $version,
                $crate::class::$class,
                STAGES,
                &[$($crate::edit::$edit),*],
            );

            // SAFETY: handed on as the host gave it.
            unsafe { $crate::enter::<$plugin>(base, host, &EXPORTED) }
        }
    };
}
