//! The macro that makes a plug-in of a type: its descriptor and its one exported symbol.
//! Holds no logic: what it writes calls `descriptor` and `enter`.

/// Exports a type as the plug-in of this shared object. Once per `cdylib`.
///
/// - `type`: what implements [`Plugin`](crate::Plugin).
/// - `name`: 1 to 63 octets of a-z, 0-9, '-' and '_'.
/// - `version`: 1 to 31 printable ASCII octets, for example `env!("CARGO_PKG_VERSION")`.
/// - `class`: `blocking`, or `inline` when no handler ever blocks; see [`class`](crate::class).
/// - `stages`: the handlers to be called, by name; see [`stage`](crate::stage).
/// - `async_stages`: those of [`AsyncPlugin`](crate::AsyncPlugin), by the same names; may be left out.
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
        $crate::export_plugin! {
            @entry $plugin, $name, $version, $class, [$($stage),*], [], [$($edit),*],
            ::core::option::Option::None
        }
    };
    (
        type = $plugin:ty,
        name = $name:expr,
        version = $version:expr,
        class = $class:ident,
        stages = [$($stage:ident),* $(,)?],
        async_stages = [$($async_stage:ident),+ $(,)?],
        edits = [$($edit:ident),* $(,)?] $(,)?
    ) => {
        $crate::export_plugin! {
            @entry $plugin, $name, $version, $class, [$($stage),*], [$($async_stage),+], [$($edit),*],
            ::core::option::Option::Some($crate::handle_async::<$plugin>)
        }
    };
    (
        @entry $plugin:ty, $name:expr, $version:expr, $class:ident, [$($stage:ident),*],
        [$($async_stage:ident),*], [$($edit:ident),*], $handle_async:expr
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
            const ASYNC: $crate::Stages = $crate::Stages::all(&[$($crate::stage::$async_stage),*])
                .asynchronous_beside(STAGES);
            static EXPORTED: $crate::Exported = $crate::Exported {
                name: $name,
                stages: STAGES,
                async_stages: ASYNC,
                handle_async: $handle_async,
            };

            // SAFETY: the section is the contract's for exactly this struct.
            #[used]
            #[unsafe(link_section = ".stagepost")]
            static DESCRIPTOR: $crate::abi::EmDescriptor = $crate::descriptor(
                $name,
                $version,
                $crate::class::$class,
                $crate::Stages::all(&[STAGES, ASYNC]),
                &[$($crate::edit::$edit),*],
            );

            // SAFETY: handed on as the host gave it.
            unsafe { $crate::enter::<$plugin>(base, host, &EXPORTED) }
        }
    };
}
