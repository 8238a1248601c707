//! What a process settles before it computes.

/// Lets libtorch compute on so many threads, and keeps freed memory.
///
/// An encoder's maps are tens of MB each and live for one layer. The system's allocator
/// gives such memory back at once, and every new map is zeroed anew, page by page: a
/// third of the time of ResNet-101's features. What is kept is never more than what
/// was needed at one time.
pub fn set_threads(threads: usize) {
    tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: plain numbers; where the allocator does not know them, it says so.
    unsafe {
        libc::mallopt(libc::M_MMAP_MAX, 0);
        libc::mallopt(libc::M_TRIM_THRESHOLD, -1);
    }
}

/// How many threads libtorch computes on, at least 1.
pub fn threads() -> usize {
    usize::try_from(tch::get_num_threads()).unwrap_or(1).max(1)
}

/// How long a thread that waits for others spins before it sleeps: long enough for a
/// small network's many short operations, short enough for other programs to have the
/// processor. libgomp's own choice is 30 times as long, and with the policy alone it is for
/// ever: beside one busy program everything crawls. Without the policy, libgomp spins a
/// tenth as long once it has more threads than processors, as a training has: a third
/// fewer captions a second.
#[cfg(all(target_os = "linux", target_env = "gnu", not(fuzzing)))]
const SPIN: [&std::ffi::CStr; 2] = [c"GOMP_SPINCOUNT=10000", c"OMP_WAIT_POLICY=active"];

/// Every program that is linked with this crate sets both for itself, unless its user has
/// set one of them.
///
/// libgomp reads the environment in its initialiser, before `main`, and has no function
/// to change this later. The loader calls this function before any initialiser, and it
/// begins the program again with two variables more. That costs milliseconds; after
/// libtorch's initialisers it would cost a quarter of a second.
// A fuzzer's address sanitizer must be there before any other function.
#[cfg(all(target_os = "linux", target_env = "gnu", not(fuzzing)))]
#[used]
#[unsafe(link_section = ".preinit_array")]
static BEFORE_ALL: extern "C" fn(i32, *const *const libc::c_char, *const *const libc::c_char) = {
    use libc::{c_char, execve, getauxval, readlink, strcmp, strncmp};

    /// Most variables of an environment; where there are more, it stays as it is.
    const MOST: usize = 4096;

    extern "C" fn begin_again(_: i32, argv: *const *const c_char, envp: *const *const c_char) {
        // No library is initialised yet, so this uses plain functions of the C library and
        // no memory but the stack.
        let mut variables = [SPIN[0].as_ptr(); MOST + 3];
        variables[1] = SPIN[1].as_ptr();
        // SAFETY: `argv` and `envp` are the process's own, lists of strings that end with
        // a null. `execve` copies what it is given; where it fails, this program goes on.
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
            // The name, not the link: it is what `ps` shows. And where the loader itself was
            // called with a program, that is no program to call.
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
