"""What made the organism: texts, training, benchmarks, card. No run imports it.

python -m crescent.organism.build
"""
