#pragma once
// A report as one HTML page that needs nothing else: style, program and data stand in it, and its
// security policy lets it load nothing. Without JavaScript it shows the table of final figures.
// Pure text; local.
#include <string>

#include "launch/report/report_data.h"

namespace phalanx {

[[nodiscard]] std::string report_page(const ReportData& data);

}  // namespace phalanx
