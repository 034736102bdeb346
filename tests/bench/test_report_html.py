import pytest

from credence.bench import paths, report_html

HOSTILE = [
    "<script>alert(1)</script>",
    '<img src="x" onerror="alert(1)">',
    '<b onclick="alert(1)">x</b>',
    '<a href="javascript:alert(1)">x</a>',
    '<a href=" jAvAsCrIpT:alert(1)">x</a>',
    "<iframe srcdoc='<script>alert(1)</script>'></iframe>",
    "<svg onload=alert(1)><script>alert(1)</script></svg>",
    "<style>* {background: url(https://example.org/x)}</style>",
    '<div style="background: url(https://example.org/x)">x</div>',
    "<form action='https://example.org'><input name=a></form>",
    '<img src="https://example.org/x.png">',
    '<img src="data:image/svg+xml;base64,PHN2Zz4=">',
    '<link rel="stylesheet" href="https://example.org/x.css">',
    "<base href='https://example.org'>",
    "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'>",
]


@pytest.mark.parametrize("fragment", HOSTILE)
@pytest.mark.parametrize("clean", [report_html.sanitise, report_html.markdown])
def test_nothing_runs_and_nothing_is_fetched(fragment, clean):
    cleaned = clean(fragment).lower()
    for word in ("<script", "<img", "<iframe", "<svg", "<style", "<form", "<link", "<base", "href=", "url("):
        assert word not in cleaned
    tags = cleaned.split(">")
    assert not any(" on" in tag.partition("<")[2] for tag in tags)


def test_pictures_in_the_page_and_plain_tables_stay():
    cleaned = report_html.sanitise(
        '<img src="data:image/png;base64,AAAA" alt="a"><table border="1"><td colspan="2">1</td></table>'
    )
    assert '<img alt="a" src="data:image/png;base64,AAAA"' in cleaned
    assert '<div class="table-scroll"' in cleaned
    assert 'colspan="2"' in cleaned


def test_links_name_their_address_without_a_scheme():
    cleaned = report_html.markdown("[the *paper*](https://doi.org/10.1145/1)")
    assert '<span class="out" data-address="doi.org/10.1145/1">the <em>paper</em></span>' in cleaned
    assert "http" not in cleaned
    assert 'data-address="arxiv.org/abs/2404.08509"' in report_html.out_link("arXiv:2404.08509")
    assert 'data-address="doi.org/10.1/2"' in report_html.out_link("doi:10.1/2")


def test_markdown_keeps_formulas_and_code_apart():
    cleaned = report_html.markdown("$x$ and `code $y$` and \\$5, then\n\n$$\nz\n$$\n\n\\begin{align}a&=b\\end{align}")
    assert cleaned.count("<math") == 3
    assert "<code>code $y$</code>" in cleaned
    assert "$5" in cleaned


def test_a_placeholder_in_the_text_is_no_formula():
    assert "<math" not in report_html.markdown("before \ue0000\ue001 after")


def test_machine_paths_lose_what_leads_to_the_file():
    root = paths.root()
    assert report_html.scrub(f"{root}/data/x.csv:3") == "data/x.csv:3"
    for text, expected in {
        "/home/me/project/x.csv": "…/x.csv",
        'File "/opt/python/lib/site.py", line 3': 'File "…/site.py", line 3',
        "(/Users/me/x y)": "(…/x y)",
        "C:\\Users\\me\\x.txt": "…/x.txt",
        "https://github.com/home/me": "https://github.com/home/me",
        "data/home/x.csv": "data/home/x.csv",
        "1/2 and a/b": "1/2 and a/b",
    }.items():
        assert report_html.scrub(text) == expected


def test_scrubbing_leaves_the_bytes_of_arrays():
    tree = {"y": {"dtype": "f8", "bdata": "/srv/AAAA"}, "name": ["/srv/a/b.csv"]}
    assert report_html.scrub_tree(tree) == {"y": {"dtype": "f8", "bdata": "/srv/AAAA"}, "name": ["…/b.csv"]}


def test_slugs_are_stable_and_unlike_each_other():
    taken = set()
    assert [report_html.slug("What it shows!", taken) for _ in range(2)] == ["what-it-shows", "what-it-shows-2"]
    assert report_html.slug("ρ") == "section"
