using CutoffLen.Files;
using CutoffLen.Tokenization.HuggingFace;

namespace CutoffLen.Checkpoints.Gguf;

/// <summary>
/// Scores of tokens by which SentencePiece, and llama.cpp, merge in the order of a list of merges. They join the two neighbours whose union has the highest
/// score, the leftmost of equal ones. A tokenizer.json made from a SentencePiece model can be told so, one that was trained as a list seldom.
/// </summary>
internal static class MergeScores
{
    /// <summary>Minus the rank of each token's first merge. Tokens whose merges alternate have one score.</summary>
    /// <exception cref="InvalidDataException">No scores merge in this order.</exception>
    public static IEnumerable<(string Token, float Score)> Of(IReadOnlyList<(string Left, string Right)> merges, BpeModel vocabulary)
    {
        var known = merges.ToHashSet();
        var ranks = new Dictionary<string, (int First, int Last)>(StringComparer.Ordinal);
        foreach (var (rank, (left, right)) in merges.Index())
        {
            ranks[left + right] = (ranks.TryGetValue(left + right, out var before) ? before.First : rank, rank);
        }

        var (score, end, previous) = (0, -1, "");
        foreach (var (token, (first, last)) in ranks.OrderBy(rank => rank.Value.First))
        {
            CheckSplits(token, vocabulary, known);
            var alternates = first < end;
            if (alternates && (token + previous).Distinct().Count() > 1)
            {
                // The leftmost of equal pairs comes first also in the list for runs of one character, such as LLaMA's of spaces.
                throw new InvalidDataException($"the merges of {JsonFile.Show(previous)} and {JsonFile.Show(token)} alternate, and it merges by scores of tokens");
            }

            score = alternates ? score : first;
            (end, previous) = (Math.Max(end, last), token);
            yield return (token, -score);
        }
    }

    /// <summary>Any two tokens that make a token are joined, so each split of it into two must be a merge.</summary>
    private static void CheckSplits(string token, BpeModel vocabulary, HashSet<(string Left, string Right)> known)
    {
        for (var cut = 1; cut < token.Length; cut++)
        {
            if (vocabulary.Find(token[..cut]) is not null && vocabulary.Find(token[cut..]) is not null && !known.Contains((token[..cut], token[cut..])))
            {
                throw new InvalidDataException($"{JsonFile.Show(token[..cut])} and {JsonFile.Show(token[cut..])} are no merge, and it joins any two tokens that make one");
            }
        }
    }
}
