"""SSJF: speculative shortest-job-first scheduling for LLM serving (Qiu et al., arXiv 2404.08509, 2024)."""
