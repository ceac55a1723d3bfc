//! The loader: a few kilobytes that unpack the compressed agent from beside themselves into memory
//! and run it there, because a ConfigMap holds one MiB at most and may be read-only.
//!
//! The packed file is the loader's own path with `.lz4` appended: four bytes of length
//! (little-endian), then one lz4 block. Arguments and environment are passed on as they are. No heap,
//! no C library. It ends with 71 to 76 and one line on stderr when it cannot go on.
#![no_std]
#![no_main]

#[cfg(not(all(target_arch = "x86_64", target_os = "linux")))]
compile_error!("the agent's loader exists for x86_64 Linux only");

use core::alloc::{GlobalAlloc, Layout};
use core::arch::{asm, naked_asm};

mod memory;

/// The longest path that the system takes, with the suffix.
const LONGEST: usize = 4096 + SUFFIX.len();
const SUFFIX: &[u8] = b".lz4\0";

/// In the list that the kernel puts after the environment: the path of this program.
const AT_EXECFN: usize = 31;

const WRITE: usize = 1;
const OPEN: usize = 2;
const LSEEK: usize = 8;
const MMAP: usize = 9;
const MUNMAP: usize = 11;
const FTRUNCATE: usize = 77;
const EXIT_GROUP: usize = 231;
const MEMFD_CREATE: usize = 319;
const EXECVEAT: usize = 322;

const O_CLOEXEC: usize = 0o2_000_000;
const SEEK_END: usize = 2;
const PROT_READ: usize = 1;
const PROT_WRITE: usize = 2;
const MAP_SHARED: usize = 1;
const MAP_PRIVATE: usize = 2;
const MFD_CLOEXEC: usize = 1;
/// Known since Linux 6.3, which says in its log when it is missing.
const MFD_EXEC: usize = 0x10;
const AT_EMPTY_PATH: usize = 0x1000;

#[panic_handler]
fn panic(_: &core::panic::PanicInfo) -> ! {
    fail(70, "panicked")
}

struct NoHeap;

// SAFETY: every allocation fails.
unsafe impl GlobalAlloc for NoHeap {
    unsafe fn alloc(&self, _: Layout) -> *mut u8 {
        core::ptr::null_mut()
    }
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}
}

#[global_allocator]
static HEAP: NoHeap = NoHeap;

/// # Safety
/// As the system call asks for.
unsafe fn system(number: usize, arguments: [usize; 6]) -> isize {
    let [a, b, c, d, e, f] = arguments;
    let result;
    // SAFETY: the registers are those of the calling convention; the kernel changes no others.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => result, in("rdi") a, in("rsi") b, in("rdx") c,
             in("r10") d, in("r8") e, in("r9") f, lateout("rcx") _, lateout("r11") _);
    }
    result
}

fn fail(code: usize, what: &str) -> ! {
    for text in ["mwctl-agent loader: ", what, "\n"] {
        // SAFETY: the bytes are there.
        unsafe { system(WRITE, [2, text.as_ptr() as usize, text.len(), 0, 0, 0]) };
    }
    loop {
        // SAFETY: it doesn't come back.
        unsafe { system(EXIT_GROUP, [code, 0, 0, 0, 0, 0]) };
    }
}

/// The result of a system call, or the end if it failed.
fn expect(result: isize, code: usize, what: &str) -> usize {
    usize::try_from(result).unwrap_or_else(|_| fail(code, what))
}

#[unsafe(naked)]
#[unsafe(no_mangle)]
unsafe extern "C" fn _start() {
    naked_asm!("mov rdi, rsp", "and rsp, -16", "call {entry}", "ud2", entry = sym entry)
}

/// # Safety
/// `stack` is what the kernel gave: count, arguments, environment, auxiliary list.
unsafe extern "C" fn entry(stack: *const usize) -> ! {
    // SAFETY: as above; each list ends with a zero.
    unsafe {
        let arguments = stack.add(1);
        let environment = arguments.add(*stack + 1);
        let mut auxiliary = environment;
        while *auxiliary != 0 {
            auxiliary = auxiliary.add(1);
        }
        auxiliary = auxiliary.add(1);
        while *auxiliary != AT_EXECFN {
            if *auxiliary == 0 {
                fail(71, "its own path is unknown");
            }
            auxiliary = auxiliary.add(2);
        }
        let mut path = [0; LONGEST];
        beside(*auxiliary.add(1) as *const u8, &mut path);
        let unpacked = unpack(&path);
        let (argv, envp) = (arguments as usize, environment as usize);
        system(
            EXECVEAT,
            [
                unpacked,
                c"".as_ptr() as usize,
                argv,
                envp,
                AT_EMPTY_PATH,
                0,
            ],
        );
        fail(76, "cannot run the unpacked agent")
    }
}

/// Writes the path of the packed file.
///
/// # Safety
/// `own` ends with a zero.
unsafe fn beside(own: *const u8, path: &mut [u8; LONGEST]) {
    let mut length = 0;
    // SAFETY: read up to the zero only.
    while let byte @ 1.. = unsafe { *own.add(length) } {
        if length + SUFFIX.len() >= LONGEST {
            fail(71, "its own path is too long");
        }
        path[length] = byte;
        length += 1;
    }
    for (to, from) in path[length..].iter_mut().zip(SUFFIX) {
        *to = *from;
    }
}

/// Unpacks the file into memory that can be executed and returns its descriptor.
fn unpack(path: &[u8; LONGEST]) -> usize {
    // SAFETY: the path ends with a zero; lengths are those of the file and the memory; a mapping is
    // used as long as it exists and nothing else writes to either.
    unsafe {
        let file = system(OPEN, [path.as_ptr() as usize, O_CLOEXEC, 0, 0, 0, 0]);
        let file = expect(
            file,
            71,
            "cannot open the packed agent beside itself (the same path with .lz4)",
        );
        let length = expect(
            system(LSEEK, [file, 0, SEEK_END, 0, 0, 0]),
            72,
            "cannot measure the packed agent",
        );
        let packed = system(MMAP, [0, length, PROT_READ, MAP_PRIVATE, file, 0]);
        let packed = expect(packed, 72, "cannot read the packed agent") as *const u8;
        let packed = core::slice::from_raw_parts(packed, length);
        let Some((size, block)) = packed.split_first_chunk() else {
            fail(72, "the packed agent is cut short")
        };
        let size = u32::from_le_bytes(*size) as usize;
        let name = c"mwctl-agent".as_ptr() as usize;
        let memory = match system(MEMFD_CREATE, [name, MFD_CLOEXEC | MFD_EXEC, 0, 0, 0, 0]) {
            ..0 => system(MEMFD_CREATE, [name, MFD_CLOEXEC, 0, 0, 0, 0]),
            memory => memory,
        };
        let memory = expect(memory, 73, "cannot get memory to run the agent in");
        expect(
            system(FTRUNCATE, [memory, size, 0, 0, 0, 0]),
            74,
            "cannot get memory for the agent",
        );
        let out = system(
            MMAP,
            [0, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0],
        );
        let out = expect(out, 74, "cannot get memory for the agent");
        let unpacked = core::slice::from_raw_parts_mut(out as *mut u8, size);
        if !matches!(lz4_flex::block::decompress_into(block, unpacked), Ok(length) if length == size)
        {
            fail(75, "the packed agent is broken");
        }
        // Written memory cannot be executed while it is mapped so.
        system(MUNMAP, [out, size, 0, 0, 0, 0]);
        memory
    }
}
