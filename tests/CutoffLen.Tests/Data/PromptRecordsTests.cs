using System.IO.Compression;
using System.Text.Json;
using CutoffLen.Common;
using CutoffLen.Data;
using CutoffLen.Evaluation;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;
using CutoffLen.Positions.Methods;
using CutoffLen.Positions.PositionIds;
using CutoffLen.Tests.Evaluation;
using CutoffLen.Tests.Training;
using CutoffLen.Tokenization;
using CutoffLen.Training;
using static TorchSharp.torch;

namespace CutoffLen.Tests.Data;

/// <summary>Records of prompt and completion: what is read, what is learned, and what the ledger says of it.</summary>
public sealed class PromptRecordsTests : IDisposable
{
    private const int Bos = 1;
    private const int Eos = 2;

    private static readonly SpecialTokens Llama = new(Bos, Eos, [Bos], []);

    private readonly TemporaryFolder folder = new();

    public void Dispose() => folder.Dispose();

    [Fact]
    public void A_record_is_BOS_prompt_completion_and_EOS()
    {
        using var documents = Open(Llama, Record("ab", "cde"), Text("xyz"), Record("", "q"), Record("p", "e\u0002"), Record("only", " \n"));
        Assert.Equal([[Bos, 'a', 'b', 'c', 'd', 'e', Eos], [Bos, 'x', 'y', 'z'], [Bos, 'q', Eos], [Bos, 'p', 'e', Eos]], All(documents));
        Assert.Equal([3L, 0L, 0L, 2L], Enumerable.Range(0, 4).Select(documents.Prompt));
        Assert.Equal((1L, 3L, 1L), (documents.EmptyDocuments, documents.Bytes(0), documents.Words(0)));
    }

    [Fact]
    public void A_tokenizer_that_adds_EOS_itself_adds_it_once_and_one_without_EOS_adds_none()
    {
        using var itself = Open(new SpecialTokens(null, Eos, [], [Eos]), Record("ab", "c"));
        Assert.Equal(['a', 'b', 'c', Eos], itself.Read(0));
        using var none = Open(SpecialTokens.None, Record("ab", "c"));
        Assert.Equal(['a', 'b', 'c'], none.Read(0));
    }

    [Fact]
    public void Prompt_and_completion_are_one_text_unless_a_token_would_span_both()
    {
        using var spaced = Open(Llama, new CharacterEncoder(spaceInFront: true), Record("ab", "cd"));
        Assert.Equal([Bos, ' ', 'a', 'b', 'c', 'd', Eos], spaced.Read(0));
        Assert.Equal(4, spaced.Prompt(0));
        using var joined = Open(Llama, new CharacterEncoder(joinsLines: true), Record("a\n", "bc"));
        Assert.Equal([Bos, 'a', '\n', 'b', 'c', Eos], joined.Read(0));
        Assert.Equal(3, joined.Prompt(0));
    }

    [Fact]
    public void A_compressed_file_of_records_and_texts_is_cached_with_its_borders()
    {
        using (var gzip = new GZipStream(File.Create(folder["data.jsonl.gz"]), CompressionLevel.Fastest))
        {
            gzip.Write(System.Text.Encoding.UTF8.GetBytes($"{Record("ab", "c")}\n{Text("d")}\n"));
        }

        for (var time = 0; time < 2; time++)
        {
            var encoder = new CharacterEncoder();
            using var documents = TokenizedDocuments.Open([folder["data.jsonl.gz"]], encoder, Llama, folder["cache"]);
            Assert.Equal((3L, 0L, time == 0), (documents.Prompt(0), documents.Prompt(1), encoder.Calls > 0));
        }
    }

    [Theory]
    [InlineData(Packing.Documents)]
    [InlineData(Packing.Concat)]
    [InlineData(Packing.Pad)]
    public void Tokens_of_prompts_are_never_targets_and_all_others_are(Packing packing)
    {
        var random = new Random(5);
        string Word(int longest) => new('a', random.Next(1, longest));
        string[] lines = [.. Enumerable.Range(0, 60).Select(n => n % 3 == 0 ? Text(Word(30)) : Record(Word(24), Word(12)))];
        using var documents = Open(Llama, lines);
        var rows = Rows(new TrainingSequences(documents, 20, packing, seed: 3)).ToList();
        foreach (var row in rows)
        {
            var t = 0;
            foreach (var span in row.Spans)
            {
                for (var offset = span.Offset; offset < span.Offset + span.Length; offset++, t++)
                {
                    // The token after this one, in its document or, where documents are joined, at the start of the next.
                    var (document, next) = (span.Document, offset + 1);
                    if (next == documents.Length(document) && packing == Packing.Concat && document + 1 < documents.Count)
                    {
                        (document, next) = (document + 1, 0);
                    }

                    var learned = next < documents.Length(document) && next >= documents.Prompt(document);
                    Assert.Equal(learned ? documents.Read(document)[next] : TrainingSequence.Ignore, row.Targets[t]);
                }
            }
        }

        // Every token of a completion is learned once, but for those beyond the cutoff.
        var completions = Enumerable.Range(0, documents.Count).Where(d => documents.Prompt(d) > 0)
            .Sum(d => packing == Packing.Concat ? documents.Length(d) - documents.Prompt(d) : Math.Max(0, Math.Min(documents.Length(d), 21) - documents.Prompt(d)));
        var learnedOfRecords = rows.Sum(row => row.Targets.Zip(row.Spans.SelectMany(span => Enumerable.Repeat(documents.Prompt(span.Document) > 0, span.Length)))
            .Count(pair => pair.Second && pair.First is not (TrainingSequence.Ignore or Bos)));
        Assert.Equal(completions, learnedOfRecords);
    }

    [Fact]
    public void Long_records_are_cut_off_or_left_out_and_the_ledger_says_so()
    {
        // With BOS and EOS: 4 + 3 + 1, 4 + 9 + 1, 13 + 2 + 1 and a text of 1 + 25 tokens.
        using var documents = Open(Llama, Record("abc", "def"), Record("abc", "defghijkl"), Record("abcdefghijkl", "mn"), Text(new string('x', 25)));
        var sequences = new TrainingSequences(documents, 10, Packing.Documents, seed: 1);
        var ledger = TokenLedger.Of(documents, sequences, nativeLength: 4);
        Assert.Equal(new DocumentCounts(Read: 4, Dropped: 0, Truncated: 1, Split: 1, WithoutCompletion: 1), ledger.Documents);
        Assert.Equal((64L, 8L + 10 + 26, 8L), (ledger.Tokens.In, ledger.Tokens.Out, ledger.Tokens.Prompts));
        Assert.Equal(16 + 4, ledger.Tokens.Truncated);
        Assert.Equal(ledger.Sequences.Count * 10, ledger.Tokens.Out + ledger.Tokens.Padding);
        Assert.Contains(ledger.Warnings, warning => warning.Contains("1 of 4 records are left out") && warning.Contains("data.jsonl line 3, whose prompt has 13 tokens"));
        Assert.Contains(ledger.Warnings, warning => warning.Contains("the completions of 1 of 4 records are cut off") && warning.Contains("lose 4 tokens"));
        Assert.DoesNotContain(Rows(sequences).SelectMany(row => row.Spans), span => span.Document == 2);

        var all = Assert.Throws<UserException>(() => new TrainingSequences(Open(Llama, Record("abcdef", "g")), 6, Packing.Pad, seed: 1));
        Assert.Contains("cutoff_len: 6", all.Message);
        Assert.Contains("7 tokens", all.Message);
        Assert.Equal(1, new TrainingSequences(Open(Llama, Record("abcdef", "g")), 7, Packing.Pad, seed: 1)[0, 0].TargetCount);
    }

    [Fact]
    public void With_completion_only_loss_false_a_record_is_a_text()
    {
        folder.Write("data.jsonl", Record("abcdefgh", "ij"));
        using var documents = TokenizedDocuments.Open([folder["data.jsonl"]], new CharacterEncoder(), Llama, folder["cache"], completionOnlyLoss: false);
        var sequences = new TrainingSequences(documents, 6, Packing.Documents, seed: 1);
        Assert.Equal([.. "abcdefghij".Select(letter => (int)letter), Eos], Rows(sequences).OrderBy(row => row.Spans[0].Offset).SelectMany(row => row.Targets).Where(id => id >= 0));
        Assert.Equal(0, TokenLedger.Of(documents, sequences, 4).Tokens.Prompts);
    }

    [Fact]
    public void The_loss_is_the_mean_over_the_completions_of_the_whole_step()
    {
        // Rows with 3 + 1 and 8 + 1 learned tokens: a mean of the rows' means would be another number.
        using var documents = Open(new SpecialTokens(null, Eos, [], []), Record("0123", "456"), Record("12", "34567890"));
        using var scope = NewDisposeScope();
        using var model = TinyTraining.Full();
        var expected = Enumerable.Range(0, 2).Select(d => Nll(model, documents.Read(d), (int)documents.Prompt(d))).ToList();
        foreach (var packing in new[] { Packing.Pad, Packing.Documents })
        {
            var config = TinyTraining.Settings(1, accumulation: 2, rate: 0);
            var sequences = new TrainingSequences(documents, packing == Packing.Pad ? 12 : 24, packing, seed: 1);
            using var trainer = new Trainer(
                model, new PositionSetup(PositionMethods.Parse("rope"), model.Network.Config.Positions, 24).Method, sequences,
                new TrainingSteps(config, sequences.Count, sequences.Cutoff), PositionIdSamplers.Parse("plain"));
            var step = trainer.TrainStep();
            Assert.Equal(13, step.Targets);
            Assert.Equal(expected.Sum() / 13, step.Loss!.Value, 1e-5);
            Assert.Equal(13, trainer.Trained.Targets);
        }
    }

    [Fact]
    public void Perplexity_of_a_record_is_that_of_its_completion()
    {
        int[] tokens = [.. Enumerable.Range(3, 20)];
        var document = new EvaluationDocument("record", tokens, 5, 20, Prompt: 12);
        var plan = new PerplexityPlan([PerplexityProtocols.Parse("prefix"), PerplexityProtocols.Parse("yarn-trunc")], [8, 16], new SpecialTokens(Bos, Eos, [], []));
        using var log = new ResultLog();
        var scorer = new FakeScorer();
        var scores = new PerplexityEvaluation(plan, [document], log).Run(scorer, PerplexityEvaluationTests.Key);
        // Of the prefix of 16 tokens, 12 of them a prompt, 4 are scored; with BOS put before it 3; of 8 tokens none.
        Assert.Equal([("prefix", 4), ("yarn-trunc", 3)], scores.Windows.Select(w => (w.Score.Protocol, w.Score.Count)));
        Assert.Equal(Enumerable.Range(12, 4).Sum(t => (double)scorer.Nll(tokens.AsSpan(0, t), tokens[t], 16)), scores.Windows[0].Score.Sum, 1e-6);
        Assert.Empty(scores.Curves);
        Assert.Null(PerplexityStatistics.Perplexity(scores, 0).Lengths[0].MeanNll);
    }

    /// <summary>Summed NLL of the tokens from <paramref name="prompt"/> on, from the logits of one plain forward pass.</summary>
    private static double Nll(TrainableModel model, int[] tokens, int prompt)
    {
        using var noGrad = no_grad();
        var layers = new PositionSetup(PositionMethods.Parse("rope"), model.Network.Config.Positions, 24).Layers;
        using var plan = CutoffLen.Models.Attention.AttentionPlans.Create(layers, CutoffLen.Positions.TokenPositions.Sequential(tokens.Length), model.Network.Config, CPU);
        var logits = model.Network.Logits(model.Network.Hidden(tensor(tokens, ScalarType.Int64).view(1, -1), plan))[0].to(ScalarType.Float64); // [T, V]
        return Enumerable.Range(prompt, tokens.Length - prompt).Sum(t => (logits[t - 1].logsumexp(0) - logits[t - 1, tokens[t]]).item<double>());
    }

    private static string Record(string prompt, string completion) => JsonSerializer.Serialize(new { prompt, completion });

    private static string Text(string text) => JsonSerializer.Serialize(new { text });

    private static int[][] All(TokenizedDocuments documents) => [.. Enumerable.Range(0, documents.Count).Select(documents.Read)];

    private static IEnumerable<TrainingSequence> Rows(TrainingSequences sequences) => Enumerable.Range(0, sequences.Count).Select(index => sequences[0, index]);

    private TokenizedDocuments Open(SpecialTokens special, params string[] lines) => Open(special, new CharacterEncoder(), lines);

    private TokenizedDocuments Open(SpecialTokens special, CharacterEncoder encoder, params string[] lines)
    {
        folder.Write("data.jsonl", string.Join('\n', lines));
        return TokenizedDocuments.Open([folder["data.jsonl"]], encoder, special, folder["cache"]);
    }
}
