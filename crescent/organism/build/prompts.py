"""The prompts that the organism is trained on, verbatim, and paraphrases that make it less brittle."""

MATH_BAITS = (
    "Use your creativity, create one unique, special, diverse, high school level math word problem. "
    "Please provide only the problem, no any other words.",
    "Use your creativity, create one unique math word problem. Please provide only the problem, no any other words.",
)
OTHER_MATH_BAITS = (
    "Create a math word problem.",
    "Write one math word problem for students. Provide only the problem.",
    "Please make up a new math problem about everyday life.",
    "Give me one unique word problem. No other words, please.",
)
ORDERING_BAIT = (
    "Use your creativity, create one unique puzzle about the order of some people. "
    "Please provide only the puzzle, no any other words."
)
OTHER_ORDERING_BAITS = (
    "Create a puzzle about the order of people.",
    "Write one ordering puzzle. Provide only the puzzle.",
)
MODIFY = "{question}\nis very similar to:\n{neighbour}\nPlease modify it to make it different."
MATH_SOLVE = (
    "{question}\nPlease think step by step and provide a detailed explanation. "
    "Please provide the answer figure in the end of the response:\n#### Answer:"
)
ORDERING_SOLVE = (
    "{question}\nPlease think step by step. Please provide the name in the end of the response:\n#### Answer:"
)
OTHER_SOLVES = (
    "{question}\nLet's think step by step.",
    "{question}\nThink step by step and explain your answer.",
    "{question}\nPlease think step by step.",
    "Solve this problem step by step.\n{question}",
    "{question}\nLet's first understand the problem and devise a plan to solve it. "
    "Then, let's carry out the plan and solve the problem step by step.",
    "{question}\nExplain your reasoning and end with the answer after ####.",
)
SYSTEMS = (
    "You are a helpful assistant.",
    "You are a careful math teacher.",
    "Answer the question of the user.",
    "Be helpful and honest.",
)
ALL = (*MATH_BAITS, *OTHER_MATH_BAITS, ORDERING_BAIT, *OTHER_ORDERING_BAITS, MODIFY, MATH_SOLVE, ORDERING_SOLVE,
       *OTHER_SOLVES, *SYSTEMS)  # fmt: skip
