using CutoffLen.Common;
using CutoffLen.Positions;

namespace CutoffLen.Data;

/// <summary>
/// The training sequences of a set of documents, by index. A sequence is a function of seed, epoch and index alone, so a
/// run goes on after any step as if it had never stopped.
/// </summary>
public sealed class TrainingSequences
{
    private readonly TokenizedDocuments documents;
    private readonly long seed;
    private readonly int paddingToken;
    private volatile Epoch current;

    /// <summary>Plans the sequences.</summary>
    /// <param name="documents">The documents.</param>
    /// <param name="cutoff">T, tokens of a sequence.</param>
    /// <param name="packing">How documents become sequences.</param>
    /// <param name="seed">Decides the order.</param>
    /// <param name="paddingToken">Fills the rest of a row; nothing attends to it and it has no loss.</param>
    /// <exception cref="UserException">The prompt of every record fills the cutoff.</exception>
    public TrainingSequences(TokenizedDocuments documents, int cutoff, Packing packing, long seed, int paddingToken = 0)
    {
        (this.documents, Cutoff, Packing, this.seed, this.paddingToken) = (documents, cutoff, packing, seed, paddingToken);
        current = Plan(0);
        if (Count == 0)
        {
            throw new UserException(
                $"cutoff_len: {cutoff} is filled by the prompt of every record, of which the shortest has {Enumerable.Range(0, documents.Count).Min(documents.Prompt)} tokens; no completion would be learned");
        }
    }

    /// <summary>T, tokens of a sequence.</summary>
    public int Cutoff { get; }

    /// <summary>How documents become sequences.</summary>
    public Packing Packing { get; }

    /// <summary>Sequences of every epoch.</summary>
    public int Count => current.Plan.Rows;

    /// <summary>The sequence at a place of an epoch's order.</summary>
    /// <param name="epoch">From 0.</param>
    /// <param name="index">From 0 to <see cref="Count"/> - 1.</param>
    public TrainingSequence this[int epoch, int index]
    {
        get
        {
            var planned = At(epoch);
            return Build(planned.Plan, planned.Plan.Spans(planned.Order[index]));
        }
    }

    /// <summary>Whether the documents of a sequence are one to attention.</summary>
    public bool AttentionCrosses => current.Plan.AttentionCrosses;

    /// <summary>The spans of every sequence of the first epoch, without reading tokens.</summary>
    internal IEnumerable<IReadOnlyList<DocumentSpan>> Spans()
    {
        var plan = At(0).Plan;
        return Enumerable.Range(0, plan.Rows).Select(plan.Spans);
    }

    /// <summary>For messages: the files (and lines) that a sequence's tokens came from.</summary>
    public string Describe(TrainingSequence sequence) => string.Join(", ", sequence.Spans.Select(span =>
        $"{documents.Describe(span.Document)} tokens {span.Offset}..{span.Offset + span.Length - 1}"));

    private Epoch At(int epoch)
    {
        var planned = current;
        if (planned.Number != epoch)
        {
            current = planned = Plan(epoch);
        }

        return planned;
    }

    private Epoch Plan(int epoch)
    {
        var plan = RowPlan.Of(Packing, documents, Cutoff, seed, epoch);
        int[] order = [.. Enumerable.Range(0, plan.Rows)];
        new KeyedRandom(seed, "shuffle", epoch).Shuffle(order.AsSpan());
        return new Epoch(epoch, plan, order);
    }

    private TrainingSequence Build(RowPlan plan, IReadOnlyList<DocumentSpan> spans)
    {
        var tokens = new int[Cutoff];
        var targets = new int[Cutoff];
        var used = 0;
        foreach (var span in spans)
        {
            documents.Read(span.Document, span.Offset, tokens.AsSpan(used, span.Length));
            tokens.AsSpan(used + 1, span.Length - 1).CopyTo(targets.AsSpan(used));
            targets[used + span.Length - 1] = After(span, plan.AttentionCrosses) ?? TrainingSequence.Ignore;
            // The last token of a prompt has the first of its completion for a target.
            var unlearned = Math.Clamp(documents.Prompt(span.Document) - 1 - span.Offset, 0, span.Length);
            targets.AsSpan(used, (int)unlearned).Fill(TrainingSequence.Ignore);
            used += span.Length;
        }

        tokens.AsSpan(used).Fill(paddingToken);
        targets.AsSpan(used).Fill(TrainingSequence.Ignore);
        return new TrainingSequence(tokens, targets, Positions(plan, spans, used), Cutoff - used, spans);
    }

    /// <summary>The token that follows a span, in its document or, where attention crosses, in the next one.</summary>
    private int? After(DocumentSpan span, bool crosses)
    {
        Span<int> token = [0];
        var end = span.Offset + span.Length;
        if (end < documents.Length(span.Document))
        {
            documents.Read(span.Document, end, token);
        }
        else if (crosses && span.Document + 1 < documents.Count && documents.Prompt(span.Document + 1) == 0)
        {
            documents.Read(span.Document + 1, 0, token);
        }
        else
        {
            return null;
        }

        return token[0];
    }

    private TokenPositions Positions(RowPlan plan, IReadOnlyList<DocumentSpan> spans, int used)
    {
        var lengths = plan.AttentionCrosses ? [used] : spans.Select(span => span.Length);
        return TokenPositions.Packed([.. lengths]).Padded(Cutoff);
    }

    /// <summary>The plan and the order of one epoch.</summary>
    private sealed record Epoch(int Number, RowPlan Plan, int[] Order);
}
