#pragma once
// How the C library's heap serves tensors on the host. A start and a step want opposite things of
// it: what a start makes either stays for the whole run or is never needed again, and what a step
// frees the next one takes again.
//
// Local; these settings belong to the process, so the program calls them, not the trainer's parts.
// Threads: any; set before the tensors that they are for.

namespace phalanx {

/// Before a start: each tensor of a MiB or more is a mapping of its own, so what the start frees
/// goes back to the system and leaves no holes between what stays.
void map_tensors_one_by_one();

/// Before the first step: freed tensors stay in the heap. Giving them back would cost a page fault
/// for each 4 KiB of the next step.
void keep_freed_tensors();

}  // namespace phalanx
