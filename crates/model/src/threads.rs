//! Settings of the process before any computation: threads and memory.

/// Sets the number of libtorch's threads, and lets the allocator keep freed memory.
///
/// An encoder's feature maps are tens of MB each and live for one layer. By default, the
/// allocator returns such memory to the system at once, which then zeroes every new map
/// page by page: a third of the time of ResNet-101's features. The memory that is kept
/// never exceeds the peak of what was in use.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the arguments are plain numbers; the allocator reports unknown ones.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// The number of libtorch's threads, at least 1.
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

/// The time that a waiting thread spins before it sleeps: long enough for a small network's
/// many short operations, short enough to leave the processor to other programs. libgomp's
/// default is 30 times as long, and with only the policy set it is unlimited: next to one
/// busy program, everything crawls. Without the policy, libgomp spins a tenth as long once
/// it has more threads than processors, as in training: a third fewer captions per second.
#[cfg(all(target_os = "linux", target_env = "gnu", not(fuzzing)))]
const SPIN: [&std::ffi::CStr; 2] = [c"GOMP_SPINCOUNT=10000", c"OMP_WAIT_POLICY=active"];

/// Makes every program that is linked with this crate set both variables for itself, unless
/// the user has set one of them.
///
/// libgomp reads the environment in its initialiser, before `main`, and has no function to
/// change the settings later. The loader calls this function before any initialiser, and it
/// executes the program again with the two variables added. That costs milliseconds; after
/// libtorch's initialisers it would cost a quarter of a second.
// A fuzzer's address sanitizer must be there before any other function.
#[cfg(all(target_os = "linux", target_env = "gnu", not(fuzzing)))]
#[used]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_ALL: extern "C" fn(i32, *const *const libc::c_char, *const *const libc::c_char) = {
    use libc::{c_char, execve, getauxval, readlink, strcmp, strncmp};

    /// Maximum number of variables of an environment; a larger one is left unchanged.
    const MOST: usize = 4096;

    extern "C" fn begin_again(_: i32, argv: *const *const c_char, envp: *const *const c_char) {
        // No library is initialised yet, so this uses only plain functions of the C library
        // and the stack.
        let mut variables = [SPIN[0].as_ptr(); MOST + 3];
        variables[1] = SPIN[1].as_ptr();
        // SAFETY: `argv` and `envp` are the process's own, null-terminated lists of
        // strings. `execve` copies its arguments; if it fails, this program continues.
        unsafe {
            let mut argument = argv;
            while !(*argument).is_null() {
                if strcmp(*argument, c"--describe".as_ptr()) == 0 {
                    return; // computes nothing
                }
                argument = argument.add(1);
            }
            let mut count = 0;
            while !(*envp.add(count)).is_null() {
                let variable = *envp.add(count);
                let is_set = |name: &std::ffi::CStr| {
                    strncmp(variable, name.as_ptr(), name.count_bytes()) == 0
                };
                if count == MOST || is_set(c"GOMP_SPINCOUNT=") || is_set(c"OMP_WAIT_POLICY=") {
                    return;
                }
                variables[count + 2] = variable;
                count += 1;
            }
            variables[count + 2] = std::ptr::null();
            // The target of the link, because `ps` shows it. But if the loader itself was
            // called with a program, the target is the loader, which must not be executed.
            let mut program = [0 as c_char; 4096];
            let link = c"/proc/self/exe".as_ptr();
            let length = readlink(link, program.as_mut_ptr(), program.len() - 1);
            if length > 0 && getauxval(libc::AT_BASE) != 0 {
                execve(program.as_ptr(), argv, variables.as_ptr());
            }
        }
    }

    begin_again
};
