using System.Globalization;
using System.Text.Json.Nodes;
using System.Xml.Linq;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Measures;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Ruler;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Reports;
using CutoffLen.Reports.Charts;
using CutoffLen.Tests.Evaluation;
using CutoffLen.Tokenization;

namespace CutoffLen.Tests.Reports;

public sealed class ReportTests
{
    private const string Hostile = "</title><script>alert(\"1\")</script>, 'x' & \u0001\uD800 \"q\"\n\r;=cmd()";

    private static readonly string[] Void = ["meta", "wbr", "circle", "line", "path", "rect"];

    [Fact]
    public void The_table_has_a_row_for_each_result_and_a_column_for_each_length()
    {
        var rows = ParseCsv(ReportCsv.Of(Report("models/tiny")));
        Assert.Equal(["model", "method", "protocol", "dtype", "16", "32", "64", "4096"], rows[0]);
        Assert.Equal(1 + (2 * 2), rows.Count);
        var report = Report("models/tiny");
        Assert.Equal(["models/tiny", "rope", "pi-s16", "fp32"], rows[1].Take(4));
        // All digits: what is written is the number itself.
        Assert.Equal(report.Methods[0].Protocols[0].Lengths[1].Perplexity, double.Parse(rows[1][5], CultureInfo.InvariantCulture));
        Assert.Equal("", rows[1][7]);
    }

    [Fact]
    public void The_json_holds_every_number_and_what_it_is()
    {
        var report = Report("tiny");
        var json = JsonNode.Parse(ReportJson.Text(report))!;
        var result = json["results"]![1]!;
        Assert.Equal("yarn:factor=4", result["method"]!.GetValue<string>());
        var at = result["perplexity"]![1]!["lengths"]![2]!;
        var expected = report.Methods[1].Protocols[1].Lengths[2];
        Assert.Equal(64, at["length"]!.GetValue<int>());
        Assert.Equal(expected.Perplexity, at["perplexity"]!.GetValue<double>());
        Assert.Equal(expected.PerplexityInterval!.Value.High, at["perplexity_interval"]![1]!.GetValue<double>());
        Assert.Equal(expected.Tokens, at["tokens_scored"]!.GetValue<long>());
        Assert.NotNull(at["word_perplexity"]);
        var missing = result["perplexity"]![0]!["lengths"]![3]!;
        Assert.Null(missing["perplexity"]);
        Assert.Equal(3, missing["documents_left_out"]!.GetValue<int>());
        Assert.Equal("fp32", json["dtype"]!.GetValue<string>());
        Assert.Equal("pi-s16", json["protocols"]![0]!["name"]!.GetValue<string>());
        Assert.Equal(report.Methods[1].Curve!.Points.Count, result["by_position"]!["buckets"]!.AsArray().Count);
        Assert.Equal("ab12", result["proof"]!["table_hash"]!.GetValue<string>());
        Assert.Equal(2, json["comparisons"]!.AsArray().Count);
        Assert.Equal(3, json["documents"]!["count"]!.GetValue<int>());
        Assert.Null(result["predicted"]![1]!["tokens"]);
        Assert.Equal(4, result["passkey"]!["cells"]!.AsArray().Count);
    }

    [Theory]
    [InlineData("stories260K")]
    [InlineData(Hostile)]
    public void The_page_is_one_well_formed_file_that_fetches_nothing(string model)
    {
        var page = ReportPage.Of(Report(model));
        Assert.StartsWith("<!DOCTYPE html>\n", page);
        var root = XDocument.Parse(page["<!DOCTYPE html>\n".Length..], LoadOptions.PreserveWhitespace).Root!;
        Assert.DoesNotContain(root.Descendants(), e => e.Name.LocalName is "script" or "link" or "img" or "iframe" or "object");
        Assert.DoesNotContain(root.DescendantsAndSelf().Attributes(), a => a.Name.LocalName is "src" or "href" || a.Name.LocalName.StartsWith("on", StringComparison.Ordinal));
        Assert.DoesNotContain("url(", page);
        // Everything but void elements is closed by its own tag, as HTML needs it.
        Assert.All(
            System.Text.RegularExpressions.Regex.Matches(page, "<([a-z0-9]+)[^>]*/>").Select(m => m.Groups[1].Value),
            name => Assert.Contains(name, Void));
        // A browser reads the style as it stands: nothing in it may have been escaped.
        Assert.DoesNotContain("&", page[page.IndexOf("<style>", StringComparison.Ordinal)..page.IndexOf("</style>", StringComparison.Ordinal)]);
    }

    [Fact]
    public void Every_picture_has_a_name_and_every_point_its_value()
    {
        var root = XDocument.Parse(ReportPage.Of(Report("tiny"))["<!DOCTYPE html>\n".Length..]).Root!;
        var pictures = root.Descendants().Where(e => e.Name.LocalName == "svg").ToList();
        // Effective context, two protocols, by position, two passkey maps, two of attention; each wide and narrow.
        Assert.Equal(2 * 8, pictures.Count);
        Assert.All(pictures, svg =>
        {
            Assert.Equal("img", svg.Attribute("role")!.Value);
            Assert.NotEqual("", svg.Attribute("aria-label")!.Value);
        });
        Assert.All(root.Descendants().Where(e => e.Attribute("class")?.Value == "point"), point => Assert.Contains(point.Elements(), e => e.Name.LocalName == "title"));
        Assert.DoesNotContain("NaN", root.ToString());
    }

    [Fact]
    public void A_report_of_one_method_without_curve_or_interval_is_a_page_too()
    {
        var text = new EvaluationDocument("t", [.. Enumerable.Range(0, 16)], 4, 20);
        var plan = new PerplexityPlan([new Prefix()], [16], SpecialTokens.None);
        var scores = new PerplexityScores(plan, [text], [(0, new WindowScore("t", "prefix", 16, 1, 30, 15))], [], 16);
        var measured = new MeasuredMethod("m", "rope", 16, null, [PerplexityStatistics.Perplexity(scores, 0)], PerplexityStatistics.Curve(scores), []);
        var report = Report("m");
        report = report with { Methods = [measured], Perplexity = report.Perplexity! with { Comparisons = [], Lengths = [16], Protocols = [new ProtocolNote("prefix", "d", "s")] } };
        Assert.NotNull(XDocument.Parse(ReportPage.Of(report)["<!DOCTYPE html>\n".Length..]));
        Assert.Equal(2, ParseCsv(ReportCsv.Of(report)).Count);
    }

    [Fact]
    public void A_hostile_name_comes_back_from_the_table_as_it_was()
    {
        var rows = ParseCsv(ReportCsv.Of(Report(Hostile)));
        Assert.Equal(Hostile, rows[1][0]);
        Assert.All(rows, row => Assert.Equal(8, row.Count));
    }

    [Fact]
    public void Ticks_stand_at_numbers_that_people_count_in()
    {
        Assert.Equal(["1.0", "1.5", "2.0", "2.5", "3.0"], new LinearScale(1.03, 2.9, 0, 1, 5).Ticks(5).Select(t => t.Label));
        Assert.Equal(["5", "10", "20", "50"], new LogScale(4, 60, 0, 1).Ticks(4).Select(t => t.Label));
        Assert.Equal(["1", "100", "10,000", "1e6"], new LogScale(1, 1e7, 0, 1).Ticks(5).Select(t => t.Label));
        Assert.Equal(["128", "256", "512", "1k"], new TokenScale(128, 1024, 0, 1).Ticks(8).Select(t => t.Label));
        Assert.Equal(["", "512", "", "2k", "", "8k"], new TokenScale(256, 8192, 0, 1).Ticks(3).Select(t => t.Label));
        var scale = new LogScale(4, 60, 100, 0);
        Assert.InRange(scale[4], 90, 100);
        Assert.InRange(scale[60], 0, 10);
        Assert.Equal(scale[8] - scale[16], scale[4] - scale[8], 1e-9);
    }

    [Fact]
    public void Labels_at_the_lines_ends_never_overlap()
    {
        var places = LineChart.Spread([50, 51, 52, 200, 299, 300], 10, 300);
        Assert.All(places.Zip(places.Skip(1)), pair => Assert.True(pair.Second - pair.First >= 15 - 1e-9));
        Assert.True(places[^1] <= 300);
        Assert.Equal(200, places[3]);
    }

    [Fact]
    public void A_culture_with_decimal_commas_changes_nothing()
    {
        var report = Report("tiny");
        string All() => ReportCsv.Of(report) + ReportJson.Text(report) + ReportPage.Of(report);
        Assert.Equal(CultureTests.Under("", All), CultureTests.Under("de-DE", All));
    }

    [Fact]
    public void RULERs_scores_have_a_heat_map_a_method_and_say_how_far_they_reach()
    {
        var ruler = new RulerResult([new("vt", 512, [1, 1]), new("cwe", 512, [1, 0.5]), new("vt", 1024, [0.5, 0]), new("cwe", 1024, [0, 0])]) { Threshold = 80 };
        string[] methods = ["rope", "ntk"];
        var report = new Report(
            DateTimeOffset.UnixEpoch, "cutoff 0", "fp32", [], [.. methods.Select(method => new MeasuredMethod("m", method, 512, null, [], null, []) { Ruler = ruler })]);
        using var folder = new TemporaryFolder();
        Assert.Equal(["ruler.html", "ruler.csv", "ruler.json"], ReportFiles.Write(report, folder[""]));
        var root = XDocument.Parse(File.ReadAllText(folder["ruler.html"])["<!DOCTYPE html>\n".Length..]).Root!;
        Assert.Equal(2 * 2, root.Descendants().Count(e => e.Name.LocalName == "svg"));
        Assert.Contains("With ntk the effective length is 512 tokens: the average of 2 tasks reaches 80 % up to there.", root.ToString());
        Assert.Equal(["m", "rope", "cwe", "fp32", "75", "0"], ParseCsv(File.ReadAllText(folder["ruler.csv"]))[2]);
        Assert.Equal(["m", "rope", "average", "fp32", "87.5", "12.5"], ParseCsv(File.ReadAllText(folder["ruler.csv"]))[3]);
        var json = JsonNode.Parse(File.ReadAllText(folder["ruler.json"]))!["results"]![1]!["ruler"]!;
        Assert.Equal(512, (int)json["effective_length"]!);
        Assert.Equal((87.5 + (2 * 12.5)) / 3, (double)json["weighted_average"]!["increasing"]!, 1e-9);
    }

    private static Report Report(string model)
    {
        PerplexityProtocol[] protocols = [new PiSliding(16), new LmEvalDisjoint()];
        int[] lengths = [16, 32, 64, 4096];
        var texts = new[] { PerplexityEvaluationTests.Text(400, 1), PerplexityEvaluationTests.Text(300, 2), PerplexityEvaluationTests.Text(50, 3) };
        var methods = new[] { "rope", "yarn:factor=4" };
        var sweeps = methods.Select((_, i) =>
        {
            using var folder = new TemporaryFolder();
            using var log = new ResultLog(folder["r.jsonl"]);
            var plan = new PerplexityPlan(protocols, lengths, new SpecialTokens(Sources.Bos, 2, [Sources.Bos], []));
            return new PerplexityEvaluation(plan, texts, log, 1024).Run(new FakeScorer(i == 1), PerplexityEvaluationTests.Key);
        }).ToList();
        var cells = new[] { (64, 0.0), (64, 1.0), (128, 0.0), (128, 1.0) }.Select(c => new PasskeyCell(c.Item1, c.Item2, c.Item1, 5, c.Item1 / 32, 2, 10));
        return new Report(
            new DateTimeOffset(2025, 11, 5, 12, 0, 0, TimeSpan.Zero), "cutoff 0", "fp32", [new Setting("command", Hostile)],
            [.. sweeps.Select((scores, i) => new MeasuredMethod(
                model, methods[i], 32, new MethodProof("ab12", i), [PerplexityStatistics.Perplexity(scores, 0), PerplexityStatistics.Perplexity(scores, 1)],
                PerplexityStatistics.Curve(scores), [new PredictedBound("bound", 50, "formula"), new PredictedBound("other", double.PositiveInfinity, Hostile)])
            {
                Passkey = new PasskeyResult([.. cells]),
                LongPpl = new LongPplSummary(3.4, 12, 700, 2, new LongPplSettings()),
                AttentionResolution = new ResolutionByLayer([0.01, 0.02], [0.03, 0.04], "rope+bca:window=32"),
                AttentionDistributions = new AttentionDistributions([1.5, 2], [0.1, 0.2], [0, 1.2, 2.3, 2.5], [0, 0.1, 0.2, 0.15]),
            })])
        {
            Perplexity = new PerplexitySection(
                [.. protocols.Select(p => new ProtocolNote(p.Name, p.Definition, "BOS first"))], lengths, new Corpus([Hostile], 3, 750, 3000, 400),
                [.. protocols.Select((p, i) => new MethodComparison(model, methods[1], p.Name, PerplexityStatistics.Differences(sweeps[1], sweeps[0], i)))],
                [$"a note {Hostile}"]),
        };
    }

    /// <summary>RFC 4180, written out: quoted fields may hold commas, quotes and line breaks.</summary>
    private static List<List<string>> ParseCsv(string text)
    {
        var rows = new List<List<string>> { new() };
        var field = new System.Text.StringBuilder();
        var quoted = false;
        for (var i = 0; i < text.Length; i++)
        {
            if (text[i] == '"' && quoted && i + 1 < text.Length && text[i + 1] == '"')
            {
                field.Append(text[i++]);
            }
            else if (text[i] == '"')
            {
                quoted = !quoted;
            }
            else if (!quoted && text[i] is ',' or '\n' && !quoted)
            {
                rows[^1].Add(field.ToString());
                field.Clear();
                if (text[i] == '\n')
                {
                    rows.Add([]);
                }
            }
            else
            {
                field.Append(text[i]);
            }
        }

        return rows[..^1];
    }
}
