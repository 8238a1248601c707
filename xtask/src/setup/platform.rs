//! The files to download for each platform, pinned by SHA-256.

use attend_program::{Error, Result};

/// Version of libtorch, to which the `tch` crate is bound.
pub const LIBTORCH: &str = "2.11.0";

/// A file of the Python package index.
#[derive(Debug)]
pub struct Wheel {
    /// Package and version, as pip takes them.
    pub requirement: &'static str,
    /// The file's name.
    pub file: &'static str,
    /// Its SHA-256, in hexadecimal.
    pub sha256: &'static str,
    /// Its size in megabytes.
    pub megabytes: u64,
}

/// A platform that libtorch can be downloaded for.
#[derive(Debug)]
pub struct Platform {
    /// `linux-x86_64`, …
    pub name: &'static str,
    /// Its tags in the names of wheels.
    pub tags: &'static [&'static str],
    /// PyTorch itself.
    pub torch: Wheel,
    /// Other wheels that `libtorch_cpu` needs. (The index has no CPU build for Linux;
    /// its build links two small CUDA libraries, which work without a GPU.)
    pub more: &'static [Wheel],
    /// The shared libraries to take out of these wheels.
    pub libraries: &'static [&'static str],
    /// Whether the wheel's `libtorch.so` needs CUDA and must be replaced.
    pub needs_stub: bool,
    /// CMake, for machines without one.
    pub cmake: Wheel,
    /// Size of the unpacked libtorch in megabytes.
    pub unpacked: u64,
}

static LINUX_X86_64: Platform = Platform {
    name: "linux-x86_64",
    tags: &[
        "manylinux_2_28_x86_64",
        "manylinux_2_25_x86_64",
        "manylinux_2_17_x86_64",
    ],
    torch: Wheel {
        requirement: "torch==2.11.0",
        file: "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl",
        sha256: "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
        megabytes: 531,
    },
    more: &[
        Wheel {
            requirement: "nvidia-cuda-runtime==13.0.96",
            file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl",
            sha256: "7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
            megabytes: 3,
        },
        Wheel {
            requirement: "nvidia-cuda-cupti==13.0.85",
            file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl",
            sha256: "4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
            megabytes: 11,
        },
    ],
    libraries: &[
        "libc10.so",
        "libgomp.so.1",
        "libtorch_cpu.so",
        "libtorch_global_deps.so",
        "libcudart.so.13",
        "libcupti.so.13",
    ],
    needs_stub: true,
    cmake: Wheel {
        requirement: "cmake==3.31.10",
        file: "cmake-3.31.10-py3-none-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
        sha256: "2f766bb46367e5e0559fa33184653754bce044583a06014dcaebf8e6dff8a1f1",
        megabytes: 28,
    },
    unpacked: 520,
};

static LINUX_AARCH64: Platform = Platform {
    name: "linux-aarch64",
    tags: &[
        "manylinux_2_28_aarch64",
        "manylinux_2_25_aarch64",
        "manylinux_2_17_aarch64",
    ],
    torch: Wheel {
        requirement: "torch==2.11.0",
        file: "torch-2.11.0-cp311-cp311-manylinux_2_28_aarch64.whl",
        sha256: "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6",
        megabytes: 420,
    },
    more: &[
        Wheel {
            requirement: "nvidia-cuda-runtime==13.0.96",
            file: "nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_aarch64.manylinux_2_17_aarch64.whl",
            sha256: "ef9bcbe90493a2b9d810e43d249adb3d02e98dd30200d86607d8d02687c43f55",
            megabytes: 3,
        },
        Wheel {
            requirement: "nvidia-cuda-cupti==13.0.85",
            file: "nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_aarch64.whl",
            sha256: "796bd679890ee55fb14a94629b698b6db54bcfd833d391d5e94017dd9d7d3151",
            megabytes: 11,
        },
    ],
    libraries: &[
        "libarm_compute.so",
        "libarm_compute_graph.so",
        "libc10.so",
        "libgomp.so.1",
        "libnvpl_blas_core.so.0",
        "libnvpl_blas_lp64_gomp.so.0",
        "libnvpl_lapack_core.so.0",
        "libnvpl_lapack_lp64_gomp.so.0",
        "libtorch_cpu.so",
        "libtorch_global_deps.so",
        "libcudart.so.13",
        "libcupti.so.13",
    ],
    needs_stub: true,
    cmake: Wheel {
        requirement: "cmake==3.31.10",
        file: "cmake-3.31.10-py3-none-manylinux_2_17_aarch64.manylinux2014_aarch64.whl",
        sha256: "a4a5615f31f692c9b9aa8b365704e4b76172348af6fa40e16fea3f118bb01194",
        megabytes: 28,
    },
    unpacked: 360,
};

static MACOS_ARM64: Platform = Platform {
    name: "macos-aarch64",
    tags: &["macosx_11_0_arm64"],
    torch: Wheel {
        requirement: "torch==2.11.0",
        file: "torch-2.11.0-cp311-cp311-macosx_11_0_arm64.whl",
        sha256: "7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4",
        megabytes: 81,
    },
    more: &[],
    libraries: &[
        "libc10.dylib",
        "libomp.dylib",
        "libtorch.dylib",
        "libtorch_cpu.dylib",
        "libtorch_global_deps.dylib",
    ],
    needs_stub: false,
    cmake: Wheel {
        requirement: "cmake==3.31.10",
        file: "cmake-3.31.10-py3-none-macosx_10_10_universal2.whl",
        sha256: "ad697643a00d9ba85179590a383c4f7401169b55ebf4b8b2938daf28c6bdeb6d",
        megabytes: 48,
    },
    unpacked: 280,
};

/// The platform for an operating system, architecture and C library, if there is one.
fn find(os: &str, arch: &str, musl: bool) -> Option<&'static Platform> {
    match (os, arch, musl) {
        ("linux", "x86_64", false) => Some(&LINUX_X86_64),
        ("linux", "aarch64", false) => Some(&LINUX_AARCH64),
        ("macos", "aarch64", false) => Some(&MACOS_ARM64),
        _ => None,
    }
}

/// This machine's platform.
pub fn current() -> Result<&'static Platform> {
    let (os, arch, musl) = (
        std::env::consts::OS,
        std::env::consts::ARCH,
        cfg!(target_env = "musl"),
    );
    find(os, arch, musl).ok_or_else(|| {
        let libc = if musl { " with musl" } else { "" };
        Error::internal(format!(
            "no ready libtorch is known for {os} on {arch}{libc} (only Linux with glibc on x86_64 and aarch64, and macOS on arm64): \
             build or install libtorch {} and set LIBTORCH to its folder",
            LIBTORCH
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_three_platforms() {
        assert_eq!(find("linux", "x86_64", false).unwrap().name, "linux-x86_64");
        assert!(find("linux", "x86_64", true).is_none());
        assert!(find("linux", "riscv64", false).is_none());
        assert!(find("windows", "x86_64", false).is_none());
    }

    #[test]
    fn digests_are_well_formed_and_differ() {
        let mut seen = std::collections::BTreeSet::new();
        for platform in [&LINUX_X86_64, &LINUX_AARCH64, &MACOS_ARM64] {
            for wheel in [&platform.torch, &platform.cmake]
                .into_iter()
                .chain(platform.more)
            {
                assert!(
                    wheel.sha256.len() == 64 && wheel.sha256.bytes().all(|b| b.is_ascii_hexdigit()),
                    "{}",
                    wheel.file
                );
                assert!(seen.insert(wheel.sha256), "{} twice", wheel.sha256);
                let (name, version) = wheel.requirement.split_once("==").unwrap();
                assert!(
                    wheel
                        .file
                        .starts_with(&format!("{}-{version}-", name.replace('-', "_"))),
                    "{}",
                    wheel.file
                );
            }
        }
    }
}
