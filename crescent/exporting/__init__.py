"""What a run made, in the form that other tools load: its pairs as a data set, its student as a model, with cards."""
