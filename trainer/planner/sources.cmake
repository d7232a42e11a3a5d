target_sources(phalanx_trainer PRIVATE
  ${CMAKE_CURRENT_LIST_DIR}/accelerator.cc
  ${CMAKE_CURRENT_LIST_DIR}/memory_plan.cc
  ${CMAKE_CURRENT_LIST_DIR}/mesh_search.cc
  ${CMAKE_CURRENT_LIST_DIR}/plan_input.cc
  ${CMAKE_CURRENT_LIST_DIR}/rank_parameters.cc
  ${CMAKE_CURRENT_LIST_DIR}/run_plan.cc
  ${CMAKE_CURRENT_LIST_DIR}/state_search.cc
  ${CMAKE_CURRENT_LIST_DIR}/step_plan.cc
)
