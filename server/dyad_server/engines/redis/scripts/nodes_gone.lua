-- Which of these nodes are gone.
-- Answers their names.
local first_name = 6

local answer = {}
for n = first_name, #ARGV do
  if gone(ARGV[n]) then answer[#answer + 1] = ARGV[n] end
end
return answer
