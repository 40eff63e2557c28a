fn main() -> Result<(), Box<dyn std::error::Error>> {
    let contract = protox::compile(["dyad/v1/signaling.proto"], ["../../../proto"])?;
    tonic_prost_build::configure()
        .build_client(false)
        .compile_fds(contract)?;
    Ok(())
}
