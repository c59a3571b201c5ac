// Whether a test may limit the addresses of a process.
#pragma once

namespace kindred {

// Sanitizers reserve terabytes of addresses, which such a limit forbids.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
inline constexpr bool memory_cannot_be_limited = true;
#else
inline constexpr bool memory_cannot_be_limited = false;
#endif

}  // namespace kindred
