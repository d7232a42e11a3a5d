#pragma once
// The files of launch/report/page/, put into the program when it is built. Pure data.
#include <string_view>

namespace phalanx {

std::string_view page_style();
std::string_view page_program();

}  // namespace phalanx
