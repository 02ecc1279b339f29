using CutoffLen.Common;
using CutoffLen.Evaluation.Protocols;
using CutoffLen.Evaluation.Scoring;

namespace CutoffLen.Evaluation.Measures;

/// <summary>
/// LongRoPE2's needle-driven perplexity (arXiv 2502.20082): a key is hidden in each document and asked for at its end, and only
/// the answer's tokens are scored. Sentences and question are those of <see cref="PasskeyPrompt"/>; the authors' were not found.
/// </summary>
public sealed class Needle : PerplexityProtocol
{
    private readonly int answer;

    private Needle(int answer) => this.answer = answer;

    /// <inheritdoc/>
    public override string Name => $"needle-{answer}";

    /// <inheritdoc/>
    public override string Definition => $"a key hidden in each text and asked for at its end; the answer's {answer} tokens are scored; mean per token";

    /// <inheritdoc/>
    public override Averaging Averaging => Averaging.Tokens;

    /// <summary>Hides a key in each document, at depths spread evenly over them.</summary>
    /// <param name="documents">Of at least <paramref name="length"/> tokens.</param>
    /// <param name="length">Tokens of each result, its answer included.</param>
    /// <param name="encode">Tokens of a text, without special tokens.</param>
    /// <param name="seed">Seed of the keys.</param>
    /// <returns>The protocol and its documents.</returns>
    /// <exception cref="UserException">The sentences do not fit into the length.</exception>
    public static (Needle Protocol, IReadOnlyList<EvaluationDocument> Documents) Hide(
        IReadOnlyList<EvaluationDocument> documents, int length, Func<string, int[]> encode, long seed)
    {
        var question = encode($"\n{PasskeyPrompt.Question()}");
        int? answer = null;
        var hidden = new List<EvaluationDocument>();
        foreach (var (n, document) in documents.Index())
        {
            var (key, asked) = DrawKey(n);
            var needle = encode($"\n{PasskeyPrompt.Sentence(key)}\n");
            var room = length - needle.Length - asked.Length;
            if (room < 2)
            {
                throw new UserException($"a needle and its question have {length - room} tokens with this tokenizer; {length} are too few");
            }

            // A BOS stays the first token.
            var depth = Math.Max(1, (int)(room * (n + 0.5) / documents.Count));
            int[] tokens = [.. document.Tokens[..depth], .. needle, .. document.Tokens[depth..room], .. asked];
            hidden.Add(new EvaluationDocument(document.Name, tokens, document.Words, document.Bytes));
        }

        return (new Needle(answer!.Value), hidden);

        // Question and answer; all answers have one number of tokens, so that they weigh the same.
        (string Key, int[] Asked) DrawKey(int document)
        {
            for (var attempt = 0; ; attempt++)
            {
                var random = new KeyedRandom(seed, "needle", document, attempt);
                var key = PasskeyPrompt.Draw(PasskeyForm.Passkey, ref random);
                var asked = encode($"\n{PasskeyPrompt.Question()} {key}");
                var tokens = asked.Length - asked.AsSpan().CommonPrefixLength(question);
                if (tokens == (answer ??= tokens))
                {
                    return (key, asked);
                }
            }
        }
    }

    /// <inheritdoc/>
    protected override IEnumerable<ScoredWindow> Plan(int tokens, int length) => [new ScoredWindow(0, length, length - answer, length)];
}
