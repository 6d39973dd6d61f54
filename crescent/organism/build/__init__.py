"""Code that made the organism: texts, training, benchmarks, card. Never imported by runs.

python -m crescent.organism.build
"""
