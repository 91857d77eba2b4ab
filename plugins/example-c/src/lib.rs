//! Empty: the plug-in is `example.c`, and this package is only there so that cargo builds it, by `build.rs`, beside
//! the server. Authors use the Makefile; nothing may ever be written here.
#![forbid(unsafe_code)]
