using CutoffLen.Files;

namespace CutoffLen.Tokenization.HuggingFace;

/// <summary>The post-processor of a tokenizer.json: which ids it puts before and after a text.</summary>
internal static class PostProcessors
{
    /// <summary>Reads it; ByteLevel, which only counts offsets, adds nothing.</summary>
    public static (IReadOnlyList<int> Before, IReadOnlyList<int> After) Read(JsonPart part)
    {
        var (before, after) = (new List<int>(), new List<int>());
        foreach (var step in part["type"].Text() == "Sequence" ? part["processors"].Items() : [part])
        {
            var (first, last) = ReadStep(step);

            // Each step goes around what those before it left.
            before.InsertRange(0, first);
            after.AddRange(last);
        }

        return (before, after);
    }

    private static (List<int> Before, List<int> After) ReadStep(JsonPart step) => step["type"].Text() switch
    {
        null or "ByteLevel" => ([], []),
        "TemplateProcessing" => ReadTemplate(step),
        "RobertaProcessing" or "BertProcessing" => ([IdOf(step["cls"])], [IdOf(step["sep"])]),
        _ => throw new InvalidDataException(
            $"{step.Path} is {step}; supported are TemplateProcessing, ByteLevel, RobertaProcessing, BertProcessing and a Sequence of them"),
    };

    /// <summary>The id of a pair of a token and its id.</summary>
    private static int IdOf(JsonPart pair) =>
        pair.Items().ToList() is [_, var id] ? id.Id() : throw new InvalidDataException($"{pair.Path} is {pair}; allowed are a token and its id");

    private static (List<int> Before, List<int> After) ReadTemplate(JsonPart template)
    {
        var (before, after, afterText) = (new List<int>(), new List<int>(), false);
        foreach (var item in template["single"].Items())
        {
            if (item["Sequence"]["id"].Text() == "A" && !afterText)
            {
                afterText = true;
            }
            else if (item["SpecialToken"]["id"].Text() is { } name)
            {
                var ids = template["special_tokens"][name]["ids"].Items().Select(id => id.Id()).ToList();
                if (ids.Count == 0)
                {
                    throw new InvalidDataException($"{item.Path} names a token that {template.Path}.special_tokens does not have");
                }

                (afterText ? after : before).AddRange(ids);
            }
            else
            {
                throw new InvalidDataException($"{item.Path} is {item}; allowed is a SpecialToken or, once, the Sequence A");
            }
        }

        return afterText ? (before, after) : throw new InvalidDataException($"{template.Path}.single leaves the text out");
    }
}
