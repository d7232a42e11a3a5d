#pragma once
// What follows from an answer of a store: is it worth asking again, when, and what a person is told
// of it. Local, pure.
#include <cstdint>
#include <string>

#include "data/store/http_client.h"

namespace phalanx {

/// 200 or 206, to its end.
[[nodiscard]] bool is_good(const HttpAnswer& answer);

/// Whether the same request may do better later: no connection, a broken or stalled transfer, 408,
/// 425, 429 and 5xx (but 501 and 505); 416, since it was about a part. All else stays as it is.
[[nodiscard]] bool may_pass(const HttpAnswer& answer);

/// S3 says that the keys are unknown to it or have run out, or do not fit the signature.
[[nodiscard]] bool blames_keys(const HttpAnswer& answer);

/// There is no such file: 404 or 410; 403 too, which S3 says where names may not be listed.
[[nodiscard]] bool says_absent(const HttpAnswer& answer);

/// Seconds until the next request after so many failures in a row (from 1): 0.25 s, doubled each
/// time up to 20 s, of it a part from a half to all that `draw` decides, so that ranks do not come
/// back together; at least what Retry-After asks for, in seconds or as a date. `now` is seconds
/// since 1970.
[[nodiscard]] double wait_seconds(int failures, const HttpAnswer& answer, uint64_t draw,
                                  int64_t now);

/// "503 SlowDown: Please reduce your request rate", "no answer: Connection refused".
[[nodiscard]] std::string answer_text(const HttpAnswer& answer);

}  // namespace phalanx
