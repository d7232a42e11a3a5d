#pragma once
// One message of ranks that cannot meet: each of them has the same to say, no communicator joins
// them, and a launcher such as srun lets them all speak. So the first rank offers its words at the
// place where the ranks would have met, and the others look whether theirs are the same.
//
// Local; waits. Threads: none. Errors: none; what cannot be asked was not said.
#include <chrono>
#include <cstdint>
#include <string>

namespace phalanx {

/// Without a host: nowhere.
struct MeetingPlace {
  std::string host;
  uint16_t port = 0;
  int size = 1;  // ranks that come there
};

/// Of rank 0, which has spoken: until all others have asked, for at most `limit`. Returns at once
/// where there is no such place, its host is not known, or another program listens there.
void offer_complaint(const MeetingPlace& place, const std::string& text,
                     std::chrono::milliseconds limit);

/// Of a later rank: has the first one said just this? Asks for at most `limit`, and waits as long
/// where there is nobody to ask: a launcher that ends all ranks with the first has time to do so.
bool first_rank_said(const MeetingPlace& place, const std::string& text,
                     std::chrono::milliseconds limit);

}  // namespace phalanx
