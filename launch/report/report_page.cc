#include "launch/report/report_page.h"

#include <fmt/format.h>

#include <cmath>

#include "launch/report/page_parts.h"
#include "launch/svg_text.h"

namespace phalanx {
namespace {

std::string figure_text(const GroupFigure& figure) {
  const Spread& spread = figure.spread;
  if (spread.n == 0) return "";
  if (!std::isfinite(spread.sd)) return fmt::format("{:.5g}", spread.mean);
  return fmt::format("{:.5g} &plusmn; {:.2g}", spread.mean, spread.sd);
}

/// For a browser without JavaScript.
std::string plain_table(const ReportData& data) {
  std::string text = "<table><thead><tr><th>runs</th><th>finished</th>";
  for (const Measure& measure : data.measures) {
    text += fmt::format("<th>{}</th>", escaped(measure.label()));
  }
  text += "</tr></thead><tbody>\n";
  for (size_t g = 0; g < data.groups.size(); ++g) {
    const RunGroup& group = data.groups[g];
    text += fmt::format("<tr><th>{}</th><td>{}</td>", escaped(group.name),
                        group.complete ? "all" : "not all");
    for (const GroupFigure& figure : data.figures[g]) {
      text += fmt::format("<td>{}</td>", figure_text(figure));
    }
    text += "</tr>\n";
  }
  return text + "</tbody></table>\n";
}

std::string plain_problems(const ReportData& data) {
  std::string text;
  for (size_t i = 0; i < data.runs.size(); ++i) {
    for (const std::string& problem : data.runs[i].problems) {
      text += fmt::format("<li>{}: {}</li>\n", escaped(data.labels[i]), escaped(problem));
    }
  }
  return text.empty() ? "" : "<ul>" + text + "</ul>\n";
}

}  // namespace

std::string report_page(const ReportData& data) {
  const std::string title = escaped(data.title);
  std::string page = "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n";
  page +=
      "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
      "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
      "<meta name=\"color-scheme\" content=\"light dark\">\n";
  page +=
      fmt::format("<title>{}</title>\n<style>\n{}</style>\n</head>\n<body>\n", title, page_style());
  page += fmt::format(
      "<noscript><main><h1>{}</h1>\n<p>The charts need JavaScript.</p>\n{}{}"
      "</main></noscript>\n",
      title, plain_table(data), plain_problems(data));
  page += "<main id=\"report\"></main>\n<script type=\"application/json\" id=\"data\">";
  page += report_json(data);
  page += fmt::format("</script>\n<script>\n{}</script>\n</body>\n</html>\n", page_program());
  return page;
}

}  // namespace phalanx
