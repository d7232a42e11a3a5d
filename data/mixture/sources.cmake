target_sources(phalanx_data PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/apportion.cc
  ${CMAKE_CURRENT_LIST_DIR}/batch.cc
  ${CMAKE_CURRENT_LIST_DIR}/batch_loader.cc
  ${CMAKE_CURRENT_LIST_DIR}/block_draw.cc
  ${CMAKE_CURRENT_LIST_DIR}/caps.cc
  ${CMAKE_CURRENT_LIST_DIR}/curriculum.cc
  ${CMAKE_CURRENT_LIST_DIR}/keyed_permutation.cc
  ${CMAKE_CURRENT_LIST_DIR}/ledger.cc
  ${CMAKE_CURRENT_LIST_DIR}/mixture_plan.cc
  ${CMAKE_CURRENT_LIST_DIR}/plan_curve.cc
  ${CMAKE_CURRENT_LIST_DIR}/plan_maker.cc
  ${CMAKE_CURRENT_LIST_DIR}/plan_report.cc
  ${CMAKE_CURRENT_LIST_DIR}/prefetcher.cc
  ${CMAKE_CURRENT_LIST_DIR}/resume.cc
  ${CMAKE_CURRENT_LIST_DIR}/row_schedule.cc
  ${CMAKE_CURRENT_LIST_DIR}/schedule_span.cc
  ${CMAKE_CURRENT_LIST_DIR}/step_grid.cc)
