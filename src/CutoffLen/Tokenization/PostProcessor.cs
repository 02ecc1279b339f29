using CutoffLen.Files;

namespace CutoffLen.Tokenization;

/// <summary>The post-processor of a tokenizer.json: which ids it puts before and after a text.</summary>
internal static class PostProcessor
{
    /// <summary>Reads it; those that only count offsets (ByteLevel) add nothing.</summary>
    public static (IReadOnlyList<int> Before, IReadOnlyList<int> After) Read(JsonPart part)
    {
        var (before, after) = (new List<int>(), new List<int>());
        var steps = part["type"].Text() == "Sequence" ? part["processors"].Items() : [part];
        foreach (var step in steps)
        {
            switch (step["type"].Text())
            {
                case null or "ByteLevel":
                    break;
                case "TemplateProcessing":
                    ReadTemplate(step, before, after);
                    break;
                default:
                    throw new InvalidDataException($"{step.Path} is {step}; supported are TemplateProcessing and ByteLevel");
            }
        }

        return (before, after);
    }

    private static void ReadTemplate(JsonPart template, List<int> before, List<int> after)
    {
        var afterText = false;
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

        if (!afterText)
        {
            throw new InvalidDataException($"{template.Path}.single leaves the text out");
        }
    }
}
