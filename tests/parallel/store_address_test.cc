// A host whose name is not known yet is asked for again. The resolver is this file's.
#include "parallel/store_address.h"

#include <dlfcn.h>
#include <gtest/gtest.h>
#include <netdb.h>

#include <cstring>

#include "tests/support/free_port.h"

namespace {

int num_questions = 0, num_refusals = 0, refusal = 0;

using Resolver = int (*)(const char*, const char*, const addrinfo*, addrinfo**);

}  // namespace

/// Says `refusal` to the first `num_refusals` questions; then every host is this one.
extern "C" int getaddrinfo(const char* /*node*/, const char* service, const addrinfo* hints,
                           addrinfo** found) {
  static const auto resolve = reinterpret_cast<Resolver>(dlsym(RTLD_NEXT, "getaddrinfo"));
  if (num_questions++ < num_refusals) return refusal;
  return resolve("127.0.0.1", service, hints, found);
}

namespace phalanx {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::string ask(int answer, int refusals, milliseconds limit) {
  num_questions = 0;
  num_refusals = refusals;
  refusal = answer;
  return why_unreachable("node-1.training", free_port(), limit);
}

TEST(StoreAddress, a_name_that_becomes_known_is_reached) {
  for (const int answer : {EAI_AGAIN, EAI_NONAME, EAI_NODATA}) {
    EXPECT_EQ(ask(answer, 2, seconds(60)), "") << gai_strerror(answer);
    EXPECT_EQ(num_questions, 3);
  }
}

TEST(StoreAddress, a_name_that_stays_unknown_is_given_up_in_time) {
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_EQ(ask(EAI_NONAME, 1 << 30, milliseconds(600)),
            std::string(gai_strerror(EAI_NONAME)) + ", asked for 0.6 s");
  EXPECT_GT(num_questions, 1);
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(30));
}

TEST(StoreAddress, what_will_not_change_is_not_asked_again) {
  EXPECT_EQ(ask(EAI_FAMILY, 1 << 30, seconds(60)), gai_strerror(EAI_FAMILY));
  EXPECT_EQ(num_questions, 1);
}

}  // namespace
}  // namespace phalanx
